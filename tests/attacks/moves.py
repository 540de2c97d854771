"""What an attacker can do by each route that writes: the request, and what is learned from a good answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.attacks.attacker import JWK, KEPT, LONG_NAME, PASSWORDS, Attacker, Tokens
from watchword.server.routes import ROUTES
from watchword.server.web.route import Route

__all__ = ["MOVES", "WRITING", "Built", "Move", "name_of"]

WRITING: Final = [route for route in ROUTES if route.method not in ("GET", "HEAD")]
MADE_UP: Final = "x" * 43


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@dataclass
class Built:
    """What a request says.

    Attributes:
        json, form: its body.
        by: whose access token it bears.
        id: the ``{id}`` of its path.
        then: learns from the document of a good answer.
    """

    json: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    by: Tokens | None = None
    id: str = "x"
    then: Callable[[dict[str, Any]], None] = field(default=lambda answer: None, repr=False)


Move = Callable[[Attacker], Built | None]
"""``None``: there is nothing to make it of at the moment."""


def _sign_in(self: Attacker) -> Built | None:
    if not self.registered:
        return None
    body = {"email": self.email, "password": self.password, "audience": self.issuer, "device": LONG_NAME}
    return Built(body, then=self.signed_in)


def _pair_by_password(self: Attacker) -> Built | None:
    if not self.registered:
        return None
    body = {"email": self.email, "password": self.password, "device": LONG_NAME}
    return Built(body, then=self.signed_in)


def _sign_in_wrongly(self: Attacker) -> Built | None:
    return Built({"email": self.email, "password": "wrong"}) if _may_be_wrong(self) else None


def _may_be_wrong(self: Attacker) -> bool:
    """One more in a row, and the attacker could not sign in either."""
    self.wrong += 1
    return self.registered and self.wrong <= 8


def _guess(self: Attacker) -> Built:
    return Built({"email": self.strangers[0], "password": "wrong"})


def _guess_at_nobody(self: Attacker) -> Built:
    return Built({"email": self.address(), "password": "wrong"})


def _refresh(self: Attacker) -> Built | None:
    one = self.newest
    if one is None:
        return None
    before = one.refresh

    def then(answer: dict[str, Any]) -> None:
        self.spent.append(before)
        one.refresh, one.access = answer["refresh_token"], answer["access_token"]

    return Built({"refresh_token": before}, then=then)


def _repeat(self: Attacker) -> Built | None:
    return Built({"refresh_token": self.spent[-1]}) if self.spent else None


def _replay(self: Attacker) -> Built | None:
    return Built({"refresh_token": self.spent.popleft()}) if len(self.spent) > KEPT // 2 else None


def _trade(self: Attacker) -> Built | None:
    return Built({"api_key": self.api_keys[-1][1]}) if self.api_keys else None


def _trade_oldest(self: Attacker) -> Built | None:
    return Built({"api_key": self.api_keys[0][1]}) if self.api_keys else None


def _trade_signing_key(self: Attacker) -> Built | None:
    return Built({"signing_key": self.signing_keys[0][0]}) if self.signing_keys else None


def _trade_ended_key(self: Attacker) -> Built | None:
    return Built({"api_key": self.over[self.number() % len(self.over)]}) if self.over else None


def _trade_made_up_key(self: Attacker) -> Built:
    return Built({"api_key": f"wwk_{MADE_UP}"})


def _log_out(self: Attacker) -> Built | None:
    one = self.newest
    return Built({}, by=one, then=lambda _: self.forget(one)) if one else None


def _log_out_by_refresh_token(self: Attacker) -> Built | None:
    one = self.tokens[0] if self.tokens else None
    return Built({"refresh_token": one.refresh}, then=lambda _: self.forget(one)) if one else None


def _log_out_everywhere(self: Attacker) -> Built | None:
    one = self.newest
    return Built({"everywhere": True}, by=one, then=lambda _: self.forget_all()) if one else None


def _pair(self: Attacker) -> Built | None:
    return Built(by=self.newest) if self.newest else None


def _register(self: Attacker) -> Built:
    return Built({"email": self.address(), "password": PASSWORDS[0], "name": LONG_NAME})


def _register_own(self: Attacker) -> Built:
    def then(_: dict[str, Any]) -> None:
        self.registered = True

    return Built({"email": self.email, "password": self.password}, then=then)


def _forget_own(self: Attacker) -> Built:
    return Built({"email": self.email})


def _forget_stranger(self: Attacker) -> Built:
    return Built({"email": self.strangers[self.number() % len(self.strangers)]})


def _forget_nobody(self: Attacker) -> Built:
    return Built({"email": self.address()})


def _reset(self: Attacker) -> Built | None:
    token, new = self.mail(self.email), self.other_password
    if token is None:
        return None

    def then(_: dict[str, Any]) -> None:
        self.password = new
        self.forget_all()

    return Built({"token": token, "password": new}, then=then)


def _reset_by_made_up_link(self: Attacker) -> Built:
    return Built({"token": MADE_UP, "password": PASSWORDS[0]})


def _confirm(self: Attacker) -> Built | None:
    waiting = self.other_mailbox
    token = self.mail(waiting)

    def then(_: dict[str, Any]) -> None:
        self.email, self.pending = waiting, False

    return None if token is None else Built({"token": token}, then=then)


def _confirm_by_made_up_link(self: Attacker) -> Built:
    return Built({"token": MADE_UP})


def _rename(self: Attacker) -> Built | None:
    return Built({"name": f"{self.number()} {LONG_NAME[:190]}"}, by=self.newest) if self.newest else None


def _change_username(self: Attacker) -> Built | None:
    return Built({"username": f"user{self.number()}"}, by=self.newest) if self.newest else None


def _change_email(self: Attacker) -> Built | None:
    return _change_email_to(self, self.other_mailbox)


def _change_email_to_stranger(self: Attacker) -> Built | None:
    # Only the newest link of a user works, so the own one is used first.
    return None if self.pending else _change_email_to(self, self.strangers[-1])


def _change_email_to(self: Attacker, address: str) -> Built | None:
    def then(answer: dict[str, Any]) -> None:
        if "pending_email" in answer:
            self.pending = address == self.other_mailbox
        else:
            self.email = answer["email"]

    return Built({"email": address}, by=self.newest, then=then) if self.newest else None


def _leave(self: Attacker) -> Built | None:
    def then(_: dict[str, Any]) -> None:
        self.registered = False
        self.forget_all()

    return Built(by=self.newest, then=then) if self.newest else None


def _leave_wrongly(self: Attacker) -> Built | None:
    if self.newest is None or not _may_be_wrong(self):
        return None
    return Built({"current_password": "wrong"}, by=self.newest)


def _end_session(self: Attacker) -> Built | None:
    if len(self.tokens) < 2:
        return None
    other = self.tokens[0]
    return Built(by=self.newest, id=other.session, then=lambda _: self.forget(other))


def _make_api_key(self: Attacker) -> Built | None:
    def then(answer: dict[str, Any]) -> None:
        self.api_keys.append((answer["id"], answer["key"]))

    return Built({"name": LONG_NAME}, by=self.newest, then=then) if self.newest else None


def _make_signing_key(self: Attacker) -> Built | None:
    def then(answer: dict[str, Any]) -> None:
        self.signing_keys.append((answer["id"], ""))

    return Built({"name": LONG_NAME, "jwk": JWK}, by=self.newest, then=then) if self.newest else None


def _end_api_key(self: Attacker) -> Built | None:
    if self.newest is None or not self.api_keys:
        return None
    key_id, text = self.api_keys.popleft()
    return Built(by=self.newest, id=key_id, then=lambda _: self.over.append(text))


def _end_signing_key(self: Attacker) -> Built | None:
    if self.newest is None or not self.signing_keys:
        return None
    return Built(by=self.newest, id=self.signing_keys.popleft()[0])


def _change_password(self: Attacker) -> Built | None:
    one, new = self.newest, self.other_password
    if one is None:
        return None

    def then(_: dict[str, Any]) -> None:
        self.password = new
        self.forget_all(one)

    return Built({"current_password": self.password, "new_password": new}, by=one, then=then)


def _change_password_wrongly(self: Attacker) -> Built | None:
    if self.newest is None or not _may_be_wrong(self):
        return None
    return Built({"current_password": "wrong", "new_password": PASSWORDS[0]}, by=self.newest)


def _administer(self: Attacker) -> Built | None:
    return Built({}, by=self.newest) if self.newest else None


def _set_up(self: Attacker) -> Built:
    return Built(form={"token": MADE_UP, "email": self.email, "password": PASSWORDS[0], "name": LONG_NAME})


def _forget_by_form(self: Attacker) -> Built:
    return Built(form={"email": self.email})


def _reset_by_form(self: Attacker) -> Built:
    return Built(form={"token": MADE_UP, "password": PASSWORDS[0]})


def _confirm_by_form(self: Attacker) -> Built:
    return Built(form={"token": MADE_UP})


_KNOWN: Final[dict[str, tuple[Move, ...]]] = {
    "POST /auth/login": (_sign_in, _sign_in_wrongly, _guess, _guess_at_nobody),
    "POST /auth/token": (
        _refresh, _repeat, _replay,
        _trade, _trade_oldest, _trade_signing_key, _trade_ended_key, _trade_made_up_key,
    ),
    "POST /auth/logout": (_log_out, _log_out_by_refresh_token, _log_out_everywhere),
    "POST /auth/basic": (_pair, _pair_by_password),
    "POST /auth/register": (_register, _register_own),
    "POST /auth/password/forgot": (_forget_own, _forget_stranger, _forget_nobody),
    "POST /auth/password/reset": (_reset, _reset_by_made_up_link),
    "POST /auth/email/confirm": (_confirm, _confirm_by_made_up_link),
    "PATCH /auth/me": (_rename, _change_username, _change_email, _change_email_to_stranger),
    "DELETE /auth/me": (_leave, _leave_wrongly),
    "DELETE /auth/sessions/{id}": (_end_session,),
    "POST /auth/api-keys": (_make_api_key,),
    "DELETE /auth/api-keys/{id}": (_end_api_key,),
    "POST /auth/signing-keys": (_make_signing_key,),
    "DELETE /auth/signing-keys/{id}": (_end_signing_key,),
    "POST /auth/password": (_change_password, _change_password_wrongly),
    "POST /setup": (_set_up,),
    "POST /forgot": (_forget_by_form,),
    "POST /reset": (_reset_by_form,),
    "POST /confirm-email": (_confirm_by_form,),
}  # fmt: skip

MOVES: Final[dict[str, tuple[Move, ...]]] = {
    name_of(route): (_administer,) if route.auth == "admin" else _KNOWN[name_of(route)] for route in WRITING
}
"""By route. One that the attacker does not know yet fails here."""
