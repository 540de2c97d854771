"""What a guard makes of the feed's messages, and what that makes of tokens already verified."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.guard.stage import (
    FEED_KEY,
    ISSUER,
    NEXT_FEED_KEY,
    OTHER_KEY,
    TOKEN_KEY,
    Clock,
    kill,
    mint,
)
from watchword import InvalidToken, Principal, TemporarilyUnavailable
from watchword.guard.derived_key import RootSecrets, derive
from watchword.guard.knowledge import Knowledge
from watchword.guard.verifier import Verifier
from watchword.jose import jws
from watchword.jose.jwk import Key
from watchword.protocol.revocation_list import TYP, Entry, RevocationList, sign

ADMIN = {"roles": ["user", "admin"], "scope": "read write pay", "role": "admin", "admin": True}
USER = {"roles": ["user"], "scope": "read", "role": "user", "admin": False}


class Ear:
    """Knowledge, a verifier over it, and short words to feed both."""

    def __init__(self, *, roots: RootSecrets | None = None) -> None:
        self.clock = Clock()
        self.known = Knowledge(ISSUER, roots=roots, clock=self.clock.time, monotonic=self.clock.monotonic)
        self.known.set_feed_keys([FEED_KEY.public_jwk()])
        self.known.add_keys([TOKEN_KEY.public_jwk()])
        self.wanted: list[str] = []
        self.verifier = Verifier(
            self,
            issuer=ISSUER,
            audience="api",
            algorithms=("ES256",) if roots is None else ("HS256",),
            leeway=0,
            cache_size=100,
            clock=self.clock.time,
        )

    @property
    def view(self) -> Any:
        return self.known.view

    def want(self, kid: str) -> None:
        self.wanted.append(kid)

    def text(self, *entries: Entry, key: Key = FEED_KEY, **members: Any) -> str:
        sequence = members.pop(
            "sequence", max((entry.sequence for entry in entries), default=self.known.sequence)
        )
        found = {
            "iss": ISSUER,
            "epoch": 1,
            "after": 0,
            "sequence": sequence,
            "iat": self.clock.wall,
            "kids": (TOKEN_KEY.kid,),
            "longest_life": 3600,
            "entries": entries,
            **members,
        }
        return sign(RevocationList(**found), key)

    def hear(self, *entries: Entry, **members: Any) -> str:
        return self.known.accept(self.text(*entries, **members))

    def token(self, **claims: Any) -> Callable[[], Principal]:
        """A token that has been verified once; calling it verifies it again."""
        text = mint(self.clock.wall, **claims)
        self.verifier.verify(text)
        return lambda: self.verifier.verify(text)


@pytest.fixture
def ear() -> Ear:
    found = Ear()
    found.hear()
    return found


class TestKills:
    @pytest.mark.parametrize(
        "entry",
        [
            kill(1, "session", "ses_1"),
            kill(1, "token", "token-1"),
            kill(1, "user", "usr_ada", below=11),
            kill(1, "user", "usr_ada", below=11, excepted="ses_2"),
            kill(1, "client", "cli_first_party", below=11),
            kill(1, "issuer", below=11),
        ],
    )
    def test_a_verified_token_dies_with_the_entry(self, ear: Ear, entry: Entry) -> None:
        """The cache remembers nothing that the feed can turn."""
        token = ear.token()
        assert ear.hear(entry) == "fresh"
        with pytest.raises(InvalidToken):
            token()

    @pytest.mark.parametrize(
        "entry",
        [
            kill(1, "session", "ses_2"),
            kill(1, "token", "token-2"),
            kill(1, "user", "usr_bob", below=99),
            kill(1, "user", "usr_ada", below=10),
            kill(1, "user", "usr_ada", below=11, excepted="ses_1"),
            kill(1, "client", "cli_first_party", below=10),
            kill(1, "issuer", below=10),
        ],
    )
    def test_others_live(self, ear: Ear, entry: Entry) -> None:
        """Another's kill, a kill of older versions, or one that spares the session."""
        token = ear.token()
        ear.hear(entry)
        assert token().subject == "usr_ada"

    def test_a_token_without_versions_dies_with_the_first_kill(self, ear: Ear) -> None:
        """Missing counts as 0."""
        token = ear.token(uv=None, cv=None)
        ear.hear(kill(1, "user", "usr_ada", below=1))
        with pytest.raises(InvalidToken):
            token()

    def test_who_acts_is_checked_like_the_subject(self, ear: Ear) -> None:
        """A delegated token dies with any user of its chain."""
        token = ear.token(act={"sub": "usr_bob", "uv": 5, "act": {"sub": "usr_eve"}})
        ear.hear(kill(1, "user", "usr_bob", below=5))
        token()
        ear.hear(kill(2, "user", "usr_eve", below=1))
        with pytest.raises(InvalidToken):
            token()

    def test_the_brake_stops_a_client_by_its_own_version(self, ear: Ear) -> None:
        """A token whose subject is a client has no user version to go by."""
        token = ear.token(sub="cli_robot", client_id="cli_robot", uv=None, sid=None)
        ear.hear(base=10)
        token()
        ear.hear(base=11)
        with pytest.raises(InvalidToken):
            token()

    def test_a_token_longer_than_the_longest_is_refused(self, ear: Ear) -> None:
        """No entry would outlast it."""
        with pytest.raises(InvalidToken):
            ear.token(exp=int(ear.clock.wall) + 3601)
        assert ear.token(exp=int(ear.clock.wall) + 3600)().subject == "usr_ada"

    def test_a_message_without_entries_takes_nothing_back(self, ear: Ear) -> None:
        """Absence from a snapshot is no pardon."""
        token = ear.token()
        ear.hear(kill(1, "session", "ses_1"))
        ear.hear(sequence=9)
        with pytest.raises(InvalidToken):
            token()


class TestKeys:
    def test_a_key_that_is_not_live_is_dead(self, ear: Ear) -> None:
        """Whatever the key set says, and for tokens already verified, too."""
        token = ear.token()
        ear.hear(kids=(OTHER_KEY.kid,), sequence=1)
        ear.known.add_keys([TOKEN_KEY.public_jwk()])
        with pytest.raises((InvalidToken, TemporarilyUnavailable)):
            token()

    def test_a_key_is_known_before_it_signs(self, ear: Ear) -> None:
        """The feed carries the public key and says that it lives."""
        ear.hear(kill(1, "key", keys=(OTHER_KEY.public_jwk(),)), kids=(TOKEN_KEY.kid, OTHER_KEY.kid))
        assert ear.verifier.verify(mint(ear.clock.wall, OTHER_KEY)).subject == "usr_ada"
        assert not ear.known.lacks_keys

    def test_an_unknown_key_is_reported_not_fetched(self, ear: Ear) -> None:
        """The request is refused at once; whoever keeps the keys is told."""
        with pytest.raises(InvalidToken):
            ear.verifier.verify(mint(ear.clock.wall, OTHER_KEY))
        assert ear.wanted == [OTHER_KEY.kid]

    def test_a_kid_never_gets_another_key(self, ear: Ear) -> None:
        """A key set that answers with other material under a known kid changes nothing."""
        token = ear.token()
        ear.known.add_keys([{**OTHER_KEY.public_jwk(), "kid": TOKEN_KEY.kid}])
        assert token().subject == "usr_ada"

    def test_a_published_secret_is_no_key(self, ear: Ear) -> None:
        """A secret that everybody can read, or a private key, is passed over."""
        secret = Key.from_secret("x" * 32)
        ear.known.add_keys([secret.private_jwk(), OTHER_KEY.private_jwk()])
        ear.hear(kids=(TOKEN_KEY.kid, secret.kid, OTHER_KEY.kid), sequence=1)
        assert list(ear.view.keys) == [TOKEN_KEY.kid]

    @pytest.mark.parametrize(
        "jwk",
        [
            {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "ML-DSA"},
        ],
    )
    def test_a_key_of_no_use_here_is_passed_over(self, ear: Ear, jwk: dict[str, Any]) -> None:
        """It lives and is another API's; it is not asked for again and again."""
        token = ear.token()
        ear.hear(kill(1, "key", keys=({**jwk, "kid": "strange"},)), kids=("strange", TOKEN_KEY.kid))
        assert not ear.known.lacks_keys
        assert token().subject == "usr_ada"

    def test_keys_that_live_no_more_are_forgotten(self, ear: Ear) -> None:
        """Years of rotations leave the live ones alone, in memory and in the file."""
        token, last = ear.token(), Key.generate("ES256")
        gone = [{**OTHER_KEY.public_jwk(), "kid": f"gone-{number}"} for number in range(200)]
        strange = [{"kty": "ML-DSA", "kid": f"strange-{number}"} for number in range(100)]
        keys = (*gone, *strange, last.public_jwk())
        ear.hear(kill(1, "key", keys=keys[:150]), kids=(TOKEN_KEY.kid, last.kid))
        assert len(ear.known.published) == 151
        ear.hear(kill(2, "key", keys=keys[150:]), kids=(TOKEN_KEY.kid, last.kid), after=1)
        ear.hear(kill(3, "key", keys=keys[-1:]), kids=(TOKEN_KEY.kid, last.kid), after=2)
        assert ear.known.published.keys() == {TOKEN_KEY.kid, last.kid}
        assert ear.verifier.verify(mint(ear.clock.wall, last)).subject == token().subject

    @pytest.mark.parametrize(
        ("audience", "number"), [("other", 7), ("api", -1), ("api", True), ("api", "1"), ("api", None)]
    )
    def test_a_derived_key_that_no_root_gives_is_anothers(self, audience: str, number: Any) -> None:
        """Another audience has secrets of its own, and its keys are announced to everybody; a number is one."""
        ear = Ear(roots=RootSecrets.parse(b"o" * 32, issuer=ISSUER, audience="api"))
        stranger = derive(b"o" * 32, issuer=ISSUER, audience=audience, number=number)
        ear.hear(
            kill(1, "key", keys=({"kty": "oct", "kid": stranger.kid, "n": number},)), kids=(stranger.kid,)
        )
        assert not ear.known.lacks_keys
        with pytest.raises(TemporarilyUnavailable):
            ear.verifier.verify(mint(ear.clock.wall, stranger))

    def test_derived_secrets_rotate_by_their_number(self) -> None:
        """The feed says which numbers live; the secret never travels."""
        roots = (b"o" * 32, b"n" * 32)
        ear = Ear(roots=RootSecrets.parse(roots, issuer=ISSUER, audience="api"))
        first, second = (
            derive(root, issuer=ISSUER, audience="api", number=number)
            for root, number in zip(roots, (1, 2), strict=True)
        )
        keys = tuple({"kty": "oct", "kid": key.kid, "n": n} for n, key in ((1, first), (2, second)))
        ear.hear(kill(1, "key", keys=keys), kids=(first.kid, second.kid))
        for key in (first, second):
            assert ear.verifier.verify(mint(ear.clock.wall, key)).subject == "usr_ada"
        token = mint(ear.clock.wall, first)
        ear.hear(kids=(second.kid,), sequence=2)
        with pytest.raises(InvalidToken):
            ear.verifier.verify(token)
        assert "oooo" not in repr(RootSecrets.parse(roots, issuer=ISSUER, audience="api"))


class TestOverlay:
    def overlay(self, claims: dict[str, Any], below: int = 11, sequence: int = 1) -> Entry:
        return kill(sequence, "claims", "usr_ada", below=below, claims=claims, clients=("cli_first_party",))

    def test_a_full_token_shows_what_the_user_is_now(self, ear: Ear) -> None:
        """A role that was given counts at once, and so does one that was taken."""
        token = ear.token(role="user", admin=False)
        ear.hear(self.overlay(ADMIN))
        assert token().is_admin
        assert token().scope == ("read", "write", "pay")
        assert token().claims["role"] == "admin"
        ear.hear(self.overlay(USER, below=12, sequence=2))
        assert not token().is_admin
        assert (token().roles, token().scope) == (("user",), ("read",))

    def test_the_same_overlay_gives_the_same_principal(self, ear: Ear) -> None:
        """It is made once for a token, not once a request."""
        token = ear.token()
        ear.hear(self.overlay(ADMIN))
        assert token() is token()

    @pytest.mark.parametrize(
        "less",
        [{"narrowed": True}, {"act": {"sub": "usr_bob"}}, {"client_id": "cli_app"}],
    )
    def test_a_lesser_token_gains_nothing(self, ear: Ear, less: dict[str, Any]) -> None:
        """Narrowed, exchanged or another client's: the overlay only takes away."""
        token = ear.token(role="user", admin=False, **less)
        ear.hear(self.overlay(ADMIN))
        found = token()
        assert (found.roles, found.scope, found.is_admin) == (("user",), ("read", "write"), False)
        assert found.claims["role"] == "user"

    def test_a_lesser_token_loses_all_the_same(self, ear: Ear) -> None:
        """Roles, scope, the one word and the boolean."""
        token = ear.token(narrowed=True, **ADMIN)
        ear.hear(self.overlay(USER))
        found = token()
        assert (found.roles, found.scope, found.is_admin) == (("user",), ("read",), False)
        assert "role" not in found.claims
        assert found.claims["admin"] is False

    def test_a_claim_that_a_lesser_token_has_not_is_not_put_in(self, ear: Ear) -> None:
        """What was left out when it was made stays out."""
        token = ear.token(narrowed=True, roles=None)
        ear.hear(self.overlay(ADMIN))
        assert token().roles == ()
        assert not token().claims.keys() & {"roles", "role", "admin"}

    def test_a_newer_token_speaks_for_itself(self, ear: Ear) -> None:
        """It was made from the version the overlay describes, or a later one."""
        token = ear.token(uv=11)
        ear.hear(self.overlay(ADMIN))
        assert not token().is_admin

    def test_an_older_overlay_does_not_win(self, ear: Ear) -> None:
        """Coming later is not being newer."""
        token = ear.token()
        ear.hear(self.overlay(USER, below=12, sequence=2))
        ear.hear(self.overlay(ADMIN, below=11, sequence=1), after=0, sequence=2)
        assert not token().is_admin

    def test_a_kill_and_an_overlay_are_kept_apart(self, ear: Ear) -> None:
        """A role change after a ban does not lift the ban."""
        token = ear.token()
        ear.hear(kill(1, "user", "usr_ada", below=11), self.overlay(ADMIN, below=12, sequence=2))
        with pytest.raises(InvalidToken):
            token()


class TestCursor:
    def test_it_moves_only_by_a_message_without_a_gap(self, ear: Ear) -> None:
        """A message past the cursor counts with its entries, not as news of what lies between."""
        token = ear.token()
        assert ear.hear(kill(7, "session", "ses_1"), after=6) == "gap"
        assert ear.known.sequence == 0
        with pytest.raises(InvalidToken):
            token()
        assert ear.hear(sequence=7) == "fresh"
        assert ear.known.sequence == 7

    def test_attack_a30_an_older_snapshot_changes_nothing(self, ear: Ear) -> None:
        """It is counted as an alarm, brings no freshness, and revives neither session nor key."""
        old = ear.text(kids=(TOKEN_KEY.kid, OTHER_KEY.kid))
        ear.clock.forward(5)
        ear.hear(kill(1, "session", "ses_1"))
        ear.clock.forward(5)
        assert ear.known.accept(old) == "old"
        assert (ear.known.sequence, ear.known.kids, ear.known.alarms) == (1, (TOKEN_KEY.kid,), 1)
        assert ear.known.age() == 5

    def test_attack_a30_a_silent_rollback_is_no_news(self, ear: Ear) -> None:
        """A new signature on a lower sequence lets the feed go stale instead of forgetting the kill."""
        token = ear.token()
        ear.hear(kill(1, "session", "ses_1"))
        ear.clock.forward(30)
        assert ear.hear(sequence=0) == "old"
        assert ear.known.age() == 30
        with pytest.raises(InvalidToken):
            token()

    def test_a_lower_epoch_is_ignored(self, ear: Ear) -> None:
        """Not even its entries count: they are of a store that was replaced."""
        ear.hear(epoch=5, base=3)
        token = ear.token()
        assert ear.hear(kill(9, "session", "ses_1"), epoch=4) == "old"
        assert (token().subject, ear.known.alarms, ear.known.epoch) == ("usr_ada", 1, 5)

    def test_a_higher_epoch_begins_anew_and_pardons_nobody(self, ear: Ear) -> None:
        """The cursor starts again; kills stay."""
        token = ear.token()
        ear.hear(kill(9, "session", "ses_1"))
        assert ear.hear(epoch=2, sequence=3) == "fresh"
        assert (ear.known.epoch, ear.known.sequence) == (2, 3)
        with pytest.raises(InvalidToken):
            token()

    def test_a_higher_epoch_with_a_gap_is_not_fresh(self, ear: Ear) -> None:
        """What lies before it has to be fetched first."""
        assert ear.hear(epoch=2, after=3, sequence=4) == "gap"
        assert ear.hear(epoch=2, sequence=4) == "fresh"

    def test_age_is_what_the_worse_clock_says(self, ear: Ear) -> None:
        """Held-back messages show on the wall clock, silence on the one nobody sets."""
        ear.clock.wall -= 3600
        ear.clock.steady += 20
        assert ear.known.age() == 20
        ear.clock.wall += 3600 + 50
        assert ear.known.age() == 50

    def test_nothing_heard_is_infinitely_old(self) -> None:
        """A cold guard judges nothing: what may be good is 503, what cannot be is refused."""
        cold = Ear()
        assert cold.known.age() == math.inf
        with pytest.raises(TemporarilyUnavailable):
            cold.verifier.verify(mint(cold.clock.wall))
        with pytest.raises(InvalidToken):
            cold.verifier.verify("junk")


class TestFeedKeys:
    @pytest.mark.parametrize("issuer", ["https://auth.example.com.evil.example", ISSUER + "/"])
    def test_another_issuers_message_is_refused(self, ear: Ear, issuer: str) -> None:
        """Byte by byte, as for a token."""
        with pytest.raises(InvalidToken):
            ear.hear(kill(1, "session", "ses_1"), iss=issuer)

    def test_a_message_with_a_malformed_entry_moves_no_cursor(self, ear: Ear) -> None:
        """What was read of it before may stay dead; as news it does not count."""
        good = {"sequence": 1, "kind": "session", "id": "ses_1"}
        message = {"iss": ISSUER, "epoch": 1, "after": 0, "sequence": 2, "iat": ear.clock.wall, "kids": []}
        payload = json.dumps({**message, "entries": [good, {"sequence": 2, "kind": "season"}]})
        with pytest.raises(InvalidToken):
            ear.known.accept(jws.sign(payload.encode(), FEED_KEY, typ=TYP))
        assert ear.known.sequence == 0
        assert list(ear.view.keys) == [TOKEN_KEY.kid]

    def test_attack_a30_a_forged_or_torn_message_is_refused(self, ear: Ear) -> None:
        """A token key, a stranger's key, a torn text and no signature at all."""
        text = ear.text(kill(1, "session", "ses_1"))
        head, body, signature = text.split(".")
        forged = [ear.text(key=key) for key in (TOKEN_KEY, OTHER_KEY)]
        for bad in (
            *forged,
            text[:-10],
            text[: len(text) // 2],
            f"{head}.{body}.",
            f"{head}.{body}",
            "",
            signature,
        ):
            with pytest.raises(InvalidToken):
                ear.known.accept(bad)
        assert ear.known.sequence == 0

    def test_a_successor_takes_over_for_good(self, ear: Ear) -> None:
        """Announced ahead; after its first message the one before it never counts again."""
        ear.hear(sequence=1, feed_keys=(FEED_KEY.public_jwk(), NEXT_FEED_KEY.public_jwk()))
        assert ear.hear(sequence=2, key=NEXT_FEED_KEY) == "fresh"
        with pytest.raises(InvalidToken):
            ear.hear(sequence=3)
        ear.known.set_feed_keys([FEED_KEY.public_jwk(), NEXT_FEED_KEY.public_jwk()])
        with pytest.raises(InvalidToken):
            ear.hear(sequence=3)

    def test_an_old_message_does_not_retire_the_key(self, ear: Ear) -> None:
        """Only a newer message shows that another key has taken over."""
        ear.known.set_feed_keys([FEED_KEY.public_jwk(), NEXT_FEED_KEY.public_jwk()])
        old = ear.text(key=NEXT_FEED_KEY)
        ear.clock.forward(1)
        ear.hear(sequence=2)
        assert ear.known.accept(old) == "old"
        assert ear.hear(sequence=3) == "fresh"
