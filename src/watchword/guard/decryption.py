"""Encrypted access tokens, as a guard opens them (RFC 7516, RFC 9068 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from watchword.errors import ConfigurationError, InvalidKey, InvalidToken
from watchword.protocol.access_token import MAX_SIZE

if TYPE_CHECKING:
    from watchword.jose.jwe import EncryptionKey

__all__ = ["Open", "opening"]

Open = Callable[[str], str]
"""``token -> signed token``: what is encrypted is opened, what is not stays as it is."""

_PARTS: Final = 4


def opening(keys: Mapping[str, Any] | str | bytes | None, *, required: bool) -> Open | None:
    """What opens the tokens of a guard, from the arguments of ``Guard``; ``None`` where nothing does.

    Raises:
        ConfigurationError: *keys* are no private keys, or ``watchword[jwe]`` is not installed.
    """
    if keys is None:
        if required:
            raise ConfigurationError("require_encryption: it takes decryption_keys")
        return None
    # Few guards open anything; the import is theirs to pay.
    from watchword.jose.jwe import decrypt, parse_keys

    try:
        found: dict[str, EncryptionKey] = parse_keys(keys)
    except InvalidKey as fault:
        raise ConfigurationError(f"decryption_keys: {fault.description}") from None
    if any(not key.private for key in found.values()):
        raise ConfigurationError("decryption_keys: a public key opens nothing")

    def open_token(token: str) -> str:
        if token.count(".") == _PARTS:
            # Latin-1 takes any byte; what is no ASCII is refused where every token is read.
            return decrypt(token, found, max_size=MAX_SIZE).decode("latin-1")
        if required:
            raise InvalidToken("the token is not encrypted, and this API takes no other")
        return token

    return open_token
