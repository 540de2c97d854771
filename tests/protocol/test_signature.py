"""What a signature must say and cover, and how a request is signed (RFC 9421, RFC 9530)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.signed import ORIGIN, Draft
from watchword.errors import InvalidKey, InvalidRequest, InvalidToken
from watchword.jose.jwk import Key
from watchword.protocol.signature import (
    Claimed,
    Lines,
    Message,
    RequestSigner,
    check_time,
    parse_signature,
    verify_request,
)

NOW = 1_900_000_000.0
KEY = Key.generate("Ed25519")
POST = Draft("POST", body=b'{"amount": 1}')


def claimed(fields: dict[str, str]) -> Claimed:
    found = parse_signature([fields["Signature-Input"]], [fields["Signature"]])
    assert found is not None
    return found


def verify(draft: Draft, fields: dict[str, str], key: Key = KEY, body: bytes | None = None) -> None:
    message = Message(draft.method, draft.origin + draft.target, Lines(fields.items()))
    verify_request(message, claimed(fields), key, draft.body if body is None else body)


class TestParse:
    def test_lines_are_one_dictionary(self) -> None:
        """Two lines of a field are read as one, as every reader of structured fields does (RFC 9651 3.2)."""
        ours = Draft().sign(KEY, "ses_1", NOW)
        inputs = ['a=("@method");keyid="x"', ours["Signature-Input"]]
        found = parse_signature(inputs, ["a=:AAAA:", ours["Signature"]])
        assert found is not None
        assert (found.label, found.keyid, found.covered) == ("sig", "ses_1", {"@method", "@target-uri"})

    def test_of_a_parameter_twice_the_last_counts(self) -> None:
        """As every reader of structured fields has it (RFC 9651 3.1.2); the same member twice does not come in."""
        ours = Draft().sign(KEY, "ses_1", NOW)
        found = parse_signature([ours["Signature-Input"] + ';keyid="ses_2"'], [ours["Signature"]])
        assert found is not None
        assert found.keyid == "ses_2"
        with pytest.raises(InvalidRequest, match="twice"):
            parse_signature([ours["Signature-Input"]] * 2, [ours["Signature"]])

    @pytest.mark.parametrize(
        "text",
        [
            'sig=1;tag="watchword"',
            "sig",
            'sig=("@method");tag="other"',
            "sig=(",
            "é=()",
            "sig=()" + ";a" * 9000,
        ],
    )
    def test_none_of_ours(self, text: str) -> None:
        """No list of components, no tag, another's tag, nonsense: the request has no signature for a guard."""
        assert parse_signature([text], []) is None
        assert parse_signature([text], [text]) is None

    @pytest.mark.parametrize(
        "text", ["sig=", "sig=(", 'sig=("a" "b"', "é=()", "\x00", "sig=()" + ";a" * 1030]
    )
    def test_malformed(self, text: str) -> None:
        """Where one says that it is for a guard: refused as a bad credential, whatever is wrong with it."""
        ours = Draft().sign(KEY, "ses_1", NOW)
        with pytest.raises(InvalidToken, match="Signature fields"):
            parse_signature([text + ', b=();tag="watchword"'], [])
        with pytest.raises(InvalidToken, match="Signature fields"):
            parse_signature([ours["Signature-Input"]], [text])

    @pytest.mark.parametrize("parameters", [
        {"created": "now"}, {"keyid": 7}, {"nonce": 12345678}, {"nonce": "x" * 129}, {"expires": "soon"},
        {"created": True},
    ])  # fmt: skip
    def test_parameters_have_their_types(self, parameters: dict[str, Any]) -> None:
        """A text where a number belongs, and the other way round."""
        fields = Draft(parameters=parameters).sign(KEY, "ses_1", NOW)
        with pytest.raises(InvalidToken):
            claimed(fields)

    def test_a_tag_is_a_text(self) -> None:
        """A token of the same letters is another type, and no signature of ours is verified under it."""
        draft = Draft()
        fields = draft.sign(KEY, "ses_1", NOW)
        fields["Signature-Input"] = fields["Signature-Input"].replace('tag="watchword"', "tag=watchword")
        with pytest.raises((InvalidToken, AssertionError)):
            verify(draft, fields)

    def test_too_many_components(self) -> None:
        """Each costs a look-up and a line: a bounded number is read."""
        fields = Draft().sign(KEY, "ses_1", NOW)
        many = " ".join(f'"x-{n}"' for n in range(40))
        fields["Signature-Input"] = fields["Signature-Input"].replace('"@method"', many)
        with pytest.raises(InvalidToken, match="malformed"):
            claimed(fields)


class TestTime:
    @pytest.mark.parametrize(("age", "good"), [(-31, False), (-30, True), (0, True), (90, True), (91, False)])
    def test_req_x14_a_minute_give_or_take_the_leeway(self, age: int, good: bool) -> None:
        """Created at most a minute ago, and not in the future."""
        found = claimed(Draft().sign(KEY, "ses_1", NOW - age))
        if good:
            check_time(found, now=NOW, leeway=30)
        else:
            with pytest.raises(InvalidToken):
                check_time(found, now=NOW, leeway=30)

    def test_an_earlier_end_is_honoured(self) -> None:
        """The client may want less than a minute."""
        found = claimed(Draft(parameters={"expires": int(NOW) + 5}).sign(KEY, "ses_1", NOW))
        check_time(found, now=NOW + 5, leeway=0)
        with pytest.raises(InvalidToken, match="expired"):
            check_time(found, now=NOW + 6, leeway=0)


class TestVerify:
    @pytest.mark.parametrize("algorithm", ["ES256", "ES384", "Ed25519", "PS512", "RS256"])
    def test_each_algorithm(self, algorithm: str) -> None:
        """A key verifies what it signed, by its one algorithm; another key of it does not."""
        key = Key.generate(algorithm)
        fields = POST.sign(key, "ses_1", NOW)
        verify(POST, fields, key)
        with pytest.raises(InvalidToken):
            verify(POST, fields, Key.generate("ES256"))

    @pytest.mark.parametrize(
        ("component", "size", "why"),
        [
            ('"priority";sf', 2000, "does not verify"),
            ('"priority";sf', 2049, "too long"),
            ('"priority";key="u"', 2049, "too long"),
            ('"priority"', 2049, "does not verify"),
        ],
    )
    def test_a_field_of_which_a_part_is_covered_has_a_bound(
        self, component: str, size: int, why: str
    ) -> None:
        """It is taken apart before anybody has vouched for it; one that is covered whole is not."""
        draft = Draft()
        fields = draft.sign(KEY, "ses_1", NOW)
        fields["Signature-Input"] = fields["Signature-Input"].replace("sig=(", f"sig=({component} ")
        with pytest.raises(InvalidToken, match=why):
            verify(draft, fields | {"Priority": "u=1".ljust(size)})

    def test_an_algorithm_without_a_name_there(self) -> None:
        """RFC 9421 has none for ES512."""
        with pytest.raises(InvalidKey):
            RequestSigner(Key.generate("ES512"), "ses_1").sign("GET", ORIGIN + "/")

    @pytest.mark.parametrize(
        "digest",
        [
            "sha-512=:AAAA:",
            "md5=:AAAAAAAAAAAAAAAAAAAAAA==:",
            f"{POST.digest}, md5=:AAAAAAAAAAAAAAAAAAAAAA==:",
            f"{POST.digest}, sha-512=:{'A' * 86}==:",
            "sha-256=1",
            "",
        ],
    )
    def test_req_x15_every_digest_is_of_the_body(self, digest: str) -> None:
        """One of the wrong length, of a weak hash, a second one that is wrong: refused, though it was signed."""

        class Odd(Draft):
            @property
            def digest(self) -> str:
                return digest

        draft = Odd("POST", body=POST.body)
        with pytest.raises(InvalidToken):
            verify(draft, draft.sign(KEY, "ses_1", NOW))

    def test_req_x15_a_digest_of_nothing_is_a_digest(self) -> None:
        """A request without a body whose digest is signed has no body on arrival either."""
        signer = RequestSigner(KEY, "ses_1", now=lambda: NOW)
        fields = signer.sign("POST", ORIGIN + "/me")
        draft = Draft("POST")
        verify(draft, fields)
        with pytest.raises(InvalidToken):
            verify(draft, fields, body=b"more")


class TestSign:
    def test_what_it_signs_a_guard_takes(self) -> None:
        """Method, address, type and digest; another nonce each time; the fields it was given stay as they are."""
        signer = RequestSigner(KEY, "ses_1", now=lambda: NOW)
        given = [("Content-Type", "application/json"), ("Accept", "*/*")]
        first, second = (signer.sign("POST", ORIGIN + "/me", given, POST.body) for _ in range(2))
        assert set(first) == {"Content-Digest", "Signature-Input", "Signature"}
        assert first["Signature-Input"] != second["Signature-Input"]
        verify(POST, {**dict(given), **first})
        found = claimed(first)
        assert found.covered == {"@method", "@target-uri", "content-type", "content-digest"}
        assert (found.created, len(found.nonce)) == (int(NOW), 32)

    @pytest.mark.parametrize(("method", "url"), [("get", ORIGIN), ("GET", "/me"), ("GET", ORIGIN + "/a b")])
    def test_what_cannot_be_signed_is_said(self, method: str, url: str) -> None:
        """A method in small letters, no whole URL, a URL that cannot be sent."""
        with pytest.raises(InvalidRequest, match="cannot be signed"):
            RequestSigner(KEY, "ses_1").sign(method, url)

    def test_it_says_nothing_of_its_key(self) -> None:
        """Its repr has the name, and no part of the secret."""
        said = repr(RequestSigner(KEY, "ses_1"))
        assert "ses_1" in said
        assert str(KEY.private_jwk()["d"]) not in said


class TestSize:
    @pytest.mark.parametrize("part", ["a ", "0 ", ";a", ", a"])
    def test_f_s3_many_parts_are_refused_unread(self, part: str) -> None:
        """Two kilobytes of the smallest parts cost the parser milliseconds; a signature has a few dozen."""
        inputs = [f'x=("@method" {part * 300});tag="watchword"']
        with pytest.raises(InvalidToken, match="too long"):
            parse_signature(inputs, ["x=:AA==:"])
