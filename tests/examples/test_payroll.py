"""The payroll example through HTTP, behind a real guard that has the issuer's keys in a file."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from examples.payroll.app import create_app
from examples.payroll.ledger import Ledger
from examples.payroll.seed import EMPLOYEES, MONTHS, seed
from watchword import Guard
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import access_token

ISSUER = "https://auth.example.com"
KEY = Key.generate("ES256")

Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "payroll.db")
    seed(made)
    return made


@pytest.fixture
def http(ledger: Ledger) -> httpx2.AsyncClient:
    app = create_app(Guard(ISSUER, keys=KeySet([KEY]).public_jwks()), ledger)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://payroll")


@pytest.fixture
def bearer() -> Bearer:
    def make(subject: str, *roles: str) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": "api",
            "iat": now,
            "exp": now + 600,
            "jti": uuid.uuid4().hex,
            "client_id": "cli_first_party",
            "roles": list(roles),
        }
        return {"Authorization": f"Bearer {access_token.issue(claims, KEY)}"}

    return make


ADMIN_ROUTES = [
    ("GET", "/employees"),
    ("GET", "/employees/7"),
    ("PATCH", "/employees/7"),
    ("GET", "/employees/7/payments"),
    ("POST", "/payments"),
]
ORDER = {"employee_id": 7, "month": "2026-01", "amount_cents": 250_000}


class TestPayroll:
    @pytest.mark.anyio
    @pytest.mark.parametrize(("method", "path"), [*ADMIN_ROUTES, ("GET", "/me"), ("GET", "/me/payments")])
    async def test_no_route_but_health_is_open(
        self, http: httpx2.AsyncClient, method: str, path: str
    ) -> None:
        """Without a token every route but /health is a 401 with a bare challenge."""
        answer = await http.request(method, path)
        assert answer.status_code == 401
        assert "error=" not in answer.headers["www-authenticate"]
        assert (await http.get("/health")).status_code == 200

    @pytest.mark.anyio
    @pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
    async def test_a_user_is_no_administrator(
        self, http: httpx2.AsyncClient, bearer: Bearer, method: str, path: str
    ) -> None:
        """Reading everybody, editing and paying are refused to a normal user, whatever he sends."""
        body = ORDER if method == "POST" else {"name": "Rich"} if method == "PATCH" else None
        answer = await http.request(method, path, headers=bearer("usr_bob", "user"), json=body)
        assert answer.status_code == 403
        assert answer.json()["error"] == "insufficient_scope"

    @pytest.mark.anyio
    async def test_a_user_reads_his_own_data_only(self, http: httpx2.AsyncClient, bearer: Bearer) -> None:
        """Once an administrator has tied him to an employee, a user sees that employee and his year of payments."""
        bob = bearer("usr_bob", "user")
        assert (await http.get("/me", headers=bob)).status_code == 404
        tie = {"user_id": "usr_bob"}
        assert (await http.patch("/employees/7", headers=bearer("usr_ada", "admin"), json=tie)).is_success
        assert (await http.get("/me", headers=bob)).json()["id"] == 7
        payments = (await http.get("/me/payments", headers=bob)).json()
        assert {p["employee_id"] for p in payments} == {7}
        assert {p["month"] for p in payments} == set(MONTHS)

    @pytest.mark.anyio
    async def test_a_user_is_one_employee(self, http: httpx2.AsyncClient, bearer: Bearer) -> None:
        """Tying one user to two employees is a conflict."""
        admin = bearer("usr_ada", "admin")
        assert (await http.patch("/employees/7", headers=admin, json={"user_id": "usr_bob"})).is_success
        assert (
            await http.patch("/employees/8", headers=admin, json={"user_id": "usr_bob"})
        ).status_code == 409

    @pytest.mark.anyio
    async def test_an_administrator_pays(self, http: httpx2.AsyncClient, bearer: Bearer) -> None:
        """A payment names who issued it, and the employee finds it."""
        admin = bearer("usr_ada", "admin")
        answer = await http.post("/payments", headers=admin, json=ORDER)
        assert answer.status_code == 201
        assert answer.json()["issued_by"] == "usr_ada"
        assert (await http.get("/employees/7/payments", headers=admin)).json()[0] == answer.json()

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        "change",
        [
            {"amount_cents": 0},
            {"amount_cents": -5},
            {"amount_cents": 10**9},
            {"month": "2026-13"},
            {"issued_by": "usr_x"},
        ],
    )
    async def test_a_payment_is_checked(
        self, http: httpx2.AsyncClient, bearer: Bearer, change: dict[str, object]
    ) -> None:
        """No nothing, no negative, no fortune, no thirteenth month, and nobody says who issued it."""
        answer = await http.post("/payments", headers=bearer("usr_ada", "admin"), json=ORDER | change)
        assert answer.status_code == 422

    @pytest.mark.anyio
    async def test_an_unknown_employee_is_not_paid(self, http: httpx2.AsyncClient, bearer: Bearer) -> None:
        """A payment to nobody is refused."""
        answer = await http.post(
            "/payments", headers=bearer("usr_ada", "admin"), json=ORDER | {"employee_id": EMPLOYEES + 1}
        )
        assert answer.status_code == 404

    @pytest.mark.anyio
    async def test_an_administrator_edits(self, http: httpx2.AsyncClient, bearer: Bearer) -> None:
        """Name, title and department can be changed; what is not named stays."""
        admin = bearer("usr_ada", "admin")
        before = (await http.get("/employees/7", headers=admin)).json()
        after = (await http.patch("/employees/7", headers=admin, json={"department": "Roof"})).json()
        assert after == before | {"department": "Roof"}
        assert [e["id"] for e in (await http.get("/employees?department=Roof", headers=admin)).json()] == [7]


class TestSeed:
    def test_the_people_are_always_the_same(self, ledger: Ledger, tmp_path: Path) -> None:
        """Two seeds give the same payroll: a few hundred people and a year of payments."""
        other = Ledger(tmp_path / "other.db")
        seed(other)
        assert ledger.employees() == other.employees()
        assert len(ledger.employees()) == EMPLOYEES
        assert ledger.payments(1) == other.payments(1)
        assert len(ledger.payments(1)) == len(MONTHS)
