"""The key that the applications of the contract have their tokens encrypted to."""

from __future__ import annotations

from watchword.jose.jwe import EncryptionKey

BOX = EncryptionKey.generate()
