"""A payroll API: employees read their own data, administrators read everybody's, edit and pay.

Run it from the top of the checkout: ``uvicorn examples.payroll.app:from_environment --factory --port 8000 --http h11``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from examples.payroll.ledger import Ledger, Payment
from watchword import Guard, Principal
from watchword.frameworks.fastapi import protect

__all__ = ["create_app", "from_environment"]


class PaymentOrder(BaseModel):
    """What an administrator sends to pay somebody."""

    model_config = ConfigDict(extra="forbid")

    employee_id: int
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    amount_cents: int = Field(gt=0, le=100_000_00)
    note: str = Field(default="Salary", max_length=200)


class EmployeeChange(BaseModel):
    """What an administrator may edit. ``user_id`` ties an employee to the user he logs in as."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=200)
    title: str | None = Field(default=None, min_length=1, max_length=200)
    department: str | None = Field(default=None, min_length=1, max_length=200)
    user_id: str | None = Field(default=None, pattern=r"^usr_[A-Za-z0-9_-]+$")


def create_app(guard: Guard, ledger: Ledger) -> FastAPI:
    """The payroll over one guard and one file."""
    app = FastAPI(title="Payroll")
    user = protect(guard)
    admin = protect(guard, role="admin")
    payer = protect(guard, role="admin", fresh=0)  # money waits for the issuer's word

    def own(principal: Principal) -> dict[str, Any]:
        # The subject says who is calling. An e-mail address would not do: it can change hands.
        if (employee := ledger.employee_of(principal.subject)) is None:
            raise HTTPException(404, "you are not on the payroll yet")
        return employee

    def found(thing: dict[str, Any] | None) -> dict[str, Any]:
        if thing is None:
            raise HTTPException(404, "no such employee")
        return thing

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/me")
    def me(principal: Principal = Depends(user)) -> dict[str, Any]:
        return own(principal)

    @app.get("/me/payments")
    def my_payments(principal: Principal = Depends(user)) -> list[dict[str, Any]]:
        return ledger.payments(own(principal)["id"])

    @app.get("/employees")
    def employees(
        department: str | None = None, principal: Principal = Depends(admin)
    ) -> list[dict[str, Any]]:
        return ledger.employees(department)

    @app.get("/employees/{employee_id}")
    def employee(employee_id: int, principal: Principal = Depends(admin)) -> dict[str, Any]:
        return found(ledger.employee(employee_id))

    @app.patch("/employees/{employee_id}")
    def edit(
        employee_id: int, change: EmployeeChange, principal: Principal = Depends(admin)
    ) -> dict[str, Any]:
        try:
            return found(ledger.edit(employee_id, change.model_dump(exclude_none=True)))
        except ValueError as error:
            raise HTTPException(409, str(error)) from None

    @app.get("/employees/{employee_id}/payments")
    def payments(employee_id: int, principal: Principal = Depends(admin)) -> list[dict[str, Any]]:
        return ledger.payments(found(ledger.employee(employee_id))["id"])

    @app.post("/payments", status_code=201)
    def pay(order: PaymentOrder, principal: Principal = Depends(payer)) -> dict[str, Any]:
        return found(ledger.pay(Payment(**order.model_dump()), issued_by=principal.subject))

    return app


def from_environment() -> FastAPI:
    """The payroll as ``PAYROLL_ISSUER``, ``PAYROLL_DATABASE``, ``PAYROLL_SNAPSHOT``, ``PAYROLL_ORIGIN`` describe it."""
    guard = Guard(
        os.environ.get("PAYROLL_ISSUER", "http://127.0.0.1:8080"),
        snapshot=os.environ.get("PAYROLL_SNAPSHOT"),
        origin=os.environ.get("PAYROLL_ORIGIN"),  # where it is known, signed requests come in, too
        cookie="watchword",  # browsers bring the token in a cookie, everybody else in a header
    )
    return create_app(guard, Ledger(Path(os.environ.get("PAYROLL_DATABASE", "payroll.db"))))
