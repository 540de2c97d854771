"""The story, step by step; each step says what it expects, and misbehaves when that does not come."""

from __future__ import annotations

import json
import signal
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic, perf_counter, sleep
from typing import Final

from watchword.demo.exchange import Party
from watchword.demo.process import ADMIN, start
from watchword.demo.reach import PATIENCE, reach, until
from watchword.demo.scene import Misbehaved, Scene, Step
from watchword.demo.screen import JsonScreen, Screen, TerminalScreen
from watchword.errors import WatchwordError

__all__ = ["STEPS", "play"]

USER: Final = ("fernando@example.com", "nine-slow-lanterns")
GRACE: Final = ("grace@example.com", "eleven-small-bridges")
_BURST: Final = 100


def register(scene: Scene, step: Step) -> None:
    """Fernando makes an account."""
    body = {"email": USER[0], "password": USER[1], "name": "Fernando"}
    step.ask(scene.server, "POST", "/auth/register", 201, body=body)


def login(scene: Scene, step: Step) -> None:
    """Two users log in: Fernando, who is nobody special, and Ada, an administrator."""
    scene.user = scene.login(step, USER)
    scene.admin = scene.login(step, ADMIN)


def read(scene: Scene, step: Step) -> None:
    """Fernando reads his payslip, at both API processes."""
    for payroll in scene.payrolls:
        step.ask(payroll, "GET", "/payslip", 200, token=scene.user["access_token"])


def refuse_payment(scene: Scene, step: Step) -> None:
    """Fernando pays himself: refused."""
    step.ask(scene.payroll, "POST", "/payments", 403, body=_ORDER, token=scene.user["access_token"])


def pay(scene: Scene, step: Step) -> None:
    """Ada pays him."""
    step.ask(scene.payroll, "POST", "/payments", 201, body=_ORDER, token=scene.admin["access_token"])


def edit(scene: Scene, step: Step) -> None:
    """Fernando edits his token, admin false → true: refused."""
    header, payload, signature = scene.user["access_token"].split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if claims["admin"] is not False:
        raise Misbehaved("the token should say that he is no administrator")
    claims |= {"admin": True, "role": "admin", "roles": ["user", "admin"]}
    edited = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    step.ask(scene.payroll, "POST", "/payments", 401, body=_ORDER, token=f"{header}.{edited}.{signature}")


def expire(scene: Scene, step: Step) -> None:
    """The same token an hour from now: expired."""
    answer = step.ask(scene.payroll, "GET", "/later/payslip", 401, token=scene.user["access_token"])
    if "expired" not in answer["detail"]:
        raise Misbehaved("it should be refused for its age")


def miss(scene: Scene, step: Step) -> None:
    """No token at all: a bare challenge."""
    step.ask(scene.payroll, "GET", "/payslip", 401)
    if step.exchanges[-1].challenge != "Bearer":
        raise Misbehaved("the challenge should be bare")


def refresh(scene: Scene, step: Step) -> None:
    """Fernando trades his refresh token for a new pair."""
    spent = scene.user["refresh_token"]
    tokens = step.ask(scene.server, "POST", "/auth/token", 200, body={"refresh_token": spent})
    scene.user = {**tokens, "spent": spent}
    step.ask(scene.payroll, "GET", "/payslip", 200, token=scene.user["access_token"])


def replay(scene: Scene, step: Step) -> None:
    """A thief presents the spent one: refused, and the whole session ends, live access token included."""
    body = {"refresh_token": scene.user["spent"]}
    step.ask(scene.server, "POST", "/auth/token", 401, body=body)
    body = {"refresh_token": scene.user["refresh_token"]}
    step.ask(scene.server, "POST", "/auth/token", 401, body=body)
    _until_refused(step, scene.payroll, scene.user["access_token"])


def logout(scene: Scene, step: Step) -> None:
    """Fernando logs in again and out: the token that was good a moment ago is dead at the API."""
    scene.user = scene.login(step, USER)
    token = scene.user["access_token"]
    step.ask(scene.payroll, "GET", "/payslip", 200, token=token)
    step.ask(scene.server, "POST", "/auth/logout", 204, token=token)
    _until_refused(step, scene.payroll, token)


def demote(scene: Scene, step: Step) -> None:
    """Grace pays, loses the role, and the same token pays no more; it still reads."""
    operator = scene.operator(step)
    body = {"email": GRACE[0], "password": GRACE[1], "roles": ["user", "admin"]}
    grace = step.ask(scene.server, "POST", "/admin/v1/users", 201, body=body, token=operator)
    token = scene.login(step, GRACE)["access_token"]
    for payroll in scene.payrolls:
        step.ask(payroll, "POST", "/payments", 201, body=_ORDER, token=token)
    path = f"/admin/v1/users/{grace['id']}"
    reached = reach(
        step,
        lambda: step.ask(scene.server, "PATCH", path, 200, body={"roles": ["user"]}, token=operator),
        [partial(until, 403, payroll.again(), "POST", "/payments", body=_ORDER, token=token)
         for payroll in scene.payrolls],
    )  # fmt: skip
    step.ask(scene.payroll, "GET", "/payslip", 200, token=token)
    step.ms = max(reached)
    step.note = "demoted at the two API processes after {:.1f} and {:.1f} ms, without a new log-in".format(
        *reached
    )


def ban(scene: Scene, step: Step) -> None:
    """Ada bans Fernando, who is logged in: both API processes hear of it."""
    scene.user = scene.login(step, USER)
    token = scene.user["access_token"]
    for payroll in scene.payrolls:
        step.ask(payroll, "GET", "/payslip", 200, token=token)
    path, body = f"/admin/v1/users/{scene.user['user']['id']}/ban", {"reason": "left the company"}
    operator = scene.operator(step)
    reached = reach(
        step,
        lambda: step.ask(scene.server, "POST", path, 200, body=body, token=operator),
        [partial(until, 401, payroll.again(), "GET", "/payslip", token=token) for payroll in scene.payrolls],
    )
    step.ms = max(reached)
    step.note = "the ban reached the two API processes after {:.1f} and {:.1f} ms".format(*reached)


def stay_out(scene: Scene, step: Step) -> None:
    """His right password does not help him."""
    body = {"email": USER[0], "password": USER[1]}
    step.ask(scene.server, "POST", "/auth/login", 403, body=body)


def rotate(scene: Scene, step: Step) -> None:
    """The signing key is replaced under load: tokens of the old and of the new key are good, none is refused."""
    tokens = [scene.admin["access_token"]]
    done = Event()
    counts = [0, 0]
    refused = [0, 0]

    def press(number: int) -> None:
        party = scene.payrolls[number].again()
        while not done.is_set() or counts[number] < _BURST:
            for token in tuple(tokens):
                counts[number] += 1
                refused[number] += party.ask("GET", "/payslip", token=token).status != 200
        party.close()

    threads = [Thread(target=press, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        rotation = step.ask(
            scene.server, "POST", "/admin/v1/keys/rotate", 200, body={"now": True}, token=scene.operator(step)
        )
        tokens.append(scene.login(step, ADMIN)["access_token"])
        before = [count + _BURST for count in counts]
        deadline = monotonic() + PATIENCE
        while any(count < least for count, least in zip(counts, before, strict=True)):
            if monotonic() > deadline:
                break
            sleep(0.005)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    step.ask(scene.payroll, "GET", "/payslip", 200, token=tokens[-1])
    if any(refused) or _kid(tokens[1]) != rotation["kid"] or _kid(tokens[0]) == rotation["kid"]:
        raise Misbehaved(f"{sum(refused)} valid tokens were refused")
    step.note = f"{sum(counts)} requests under both keys, none refused"


def lose_server(scene: Scene, step: Step) -> None:
    """The server is killed, and the APIs go on: a good token is welcome, the banned one stays refused."""
    scene.server.close()
    scene.cast.kill_server()
    with suppress(ConnectionError):
        scene.server.ask("GET", "/healthz")
        raise Misbehaved("the server should be gone")
    for payroll in scene.payrolls:
        step.ask(payroll, "GET", "/payslip", 200, token=scene.admin["access_token"])
        step.ask(payroll, "GET", "/payslip", 401, token=scene.user["access_token"])


def regain_server(scene: Scene, step: Step) -> None:
    """It comes back, and the APIs listen again by themselves: Ada logs in and out."""
    scene.server.close()
    began = perf_counter()
    scene.cast.start_server()
    step.ms = (perf_counter() - began) * 1000
    token = scene.login(step, ADMIN)["access_token"]
    reached = reach(
        step,
        lambda: step.ask(scene.server, "POST", "/auth/logout", 204, token=token),
        [partial(until, 401, payroll.again(), "GET", "/payslip", token=token) for payroll in scene.payrolls],
    )
    step.note = f"dead at the APIs {max(reached):.0f} ms after the log-out, their reconnection included"


STEPS: Final[tuple[tuple[str, Callable[[Scene, Step], None]], ...]] = (
    ("register", register),
    ("login", login),
    ("read", read),
    ("payment_refused", refuse_payment),
    ("payment", pay),
    ("edited_token", edit),
    ("expired_token", expire),
    ("missing_token", miss),
    ("refresh", refresh),
    ("replayed_refresh_token", replay),
    ("logout", logout),
    ("demotion", demote),
    ("ban", ban),
    ("banned_login", stay_out),
    ("key_rotation", rotate),
    ("server_killed", lose_server),
    ("server_back", regain_server),
)
"""Name -> what happens; its docstring is the title."""

_ORDER: Final = {"employee": 7, "amount_cents": 250_000}


def play(*, as_json: bool) -> bool:
    """Play it on this machine; whether every step behaved."""
    screen: Screen = JsonScreen() if as_json else TerminalScreen()
    # A demo that is told to end takes its processes with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="watchword-demo-") as folder, start(Path(folder)) as cast:
            scene = Scene(cast)
            screen.open(scene)
            behaved = all(_act(scene, screen, name, act) for name, act in STEPS)
    except WatchwordError as fault:
        screen.close(str(fault), behaved=False)
        return False
    screen.close(f"{len(STEPS)} steps in {monotonic() - began:.1f} s", behaved=behaved)
    return behaved


def _act(scene: Scene, screen: Screen, name: str, act: Callable[[Scene, Step], None]) -> bool:
    step = Step(name, (act.__doc__ or name).removesuffix("."))
    try:
        act(scene, step)
    except (Misbehaved, OSError, KeyError, TypeError, ValueError) as fault:
        step.ok = False
        step.note = str(fault) if isinstance(fault, Misbehaved) else f"{type(fault).__name__}: {fault}"
    screen.show(step)
    return step.ok


def _until_refused(step: Step, party: Party, token: str) -> None:
    """Ask until the token is dead there, and say how long that took."""
    began = perf_counter()
    step.exchanges.append(until(401, party, "GET", "/payslip", token=token))
    reached = (perf_counter() - began) * 1000
    step.ms += reached
    step.note = f"dead at the API after {reached:.1f} ms"


def _kid(token: str) -> str:
    header = token.partition(".")[0]
    kid: str = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid
