"""125 access tokens, good and bad, against a guard with a fixed clock.

``tokens.json`` holds a ``context`` (``issuer audience now leeway algs jwks`` and an ``hmac_context``) and ``cases``
of ``id group token expect`` and perhaps ``cost``: ``accept`` must pass, ``reject`` must raise our own error, ``may``
is free to do either, ``not-admin`` must never look like an administrator; ``cost: dos`` must be cheap.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.vectors.corpus import load
from watchword import Guard, InvalidToken, Principal

CORPUS = load("tokens/tokens.json")
CONTEXT = CORPUS["context"]
BOUND = 0.005
"""Seconds of CPU for a token that was made to be expensive: what the corpus demands."""


def guard_for(case: dict[str, Any]) -> Guard:
    keys, algorithms = CONTEXT["jwks"], CONTEXT["algs"]
    if case["group"] == "ok-hmac":
        hmac = CONTEXT["hmac_context"]
        keys = {"keys": [{"kty": "oct", "k": hmac["secret_b64u"], "kid": hmac["kid"], "alg": "HS256"}]}
        algorithms = hmac["algs"]
    return Guard(
        CONTEXT["issuer"],
        CONTEXT["audience"],
        keys=keys,
        algorithms=algorithms,
        leeway=CONTEXT["leeway"],
        clock=lambda: CONTEXT["now"],
    )


def principal(case: dict[str, Any]) -> Principal | None:
    """Who the token says is calling, ``None`` when it was refused; any foreign exception goes through."""
    try:
        return guard_for(case).verify(case["token"])
    except InvalidToken:
        return None


def having(*expectations: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CORPUS["cases"] if case["expect"] in expectations]


class TestTokens:
    @pytest.mark.parametrize("case", having("accept"))
    def test_good_tokens_pass(self, case: dict[str, Any]) -> None:
        """A guard that refuses everything would be easy."""
        assert principal(case) is not None

    @pytest.mark.parametrize("case", having("reject"))
    def test_bad_tokens_are_refused(self, case: dict[str, Any]) -> None:
        """By InvalidToken and by nothing else."""
        assert principal(case) is None

    @pytest.mark.parametrize("case", having("may", "not-admin"))
    def test_the_rest_is_answered_and_never_an_administrator(self, case: dict[str, Any]) -> None:
        """Claims that look like power to a careless reader are none."""
        found = principal(case)
        assert found is None or not found.is_admin

    @pytest.mark.parametrize("case", [pytest.param(c, id=c["id"]) for c in CORPUS["cases"] if "cost" in c])
    def test_expensive_tokens_are_cheap(self, case: dict[str, Any]) -> None:
        """Bombs cost less than the 5 ms of CPU that the corpus allows, the best of a few tries."""
        guard = guard_for(case)
        spent = []
        for _ in range(5):
            begun = time.thread_time()
            with pytest.raises(InvalidToken):
                guard.verify(case["token"])
            spent.append(time.thread_time() - begun)
        assert min(spent) <= BOUND

    def test_the_corpus_is_whole(self) -> None:
        """Every kind of expectation was met, so that an empty file proves nothing."""
        found = [case["expect"] for case in CORPUS["cases"]]
        assert set(found) == {"accept", "reject", "may", "not-admin"}
        assert len(found) >= 125
