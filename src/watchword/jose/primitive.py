"""From a loaded key to two functions, sign and verify; everything that can be prepared is prepared once."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hmac import HMAC

from watchword.jose.algorithms import Algorithm

__all__ = ["CURVES", "ORDERS", "Signer", "Verifier", "hmac_signer", "hmac_verifier", "signer", "verifier"]

Signer = Callable[[bytes], bytes]
Verifier = Callable[[bytes, bytes], bool]

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
ORDERS = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "P-521": 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
}


def verifier(algorithm: Algorithm, key: object) -> Verifier:
    """The function that checks a signature with a public key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _ec_verifier(algorithm, key)
    if isinstance(key, rsa.RSAPublicKey):
        return _rsa_verifier(algorithm, key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _ed_verifier(key)
    raise TypeError(type(key).__name__)


def signer(algorithm: Algorithm, key: object) -> Signer:
    """The function that signs with a private key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        scheme, size, sign = ec.ECDSA(algorithm.hash), algorithm.size, key.sign

        def sign_ec(message: bytes) -> bytes:
            return _raw(sign(message, scheme), size)

        return sign_ec
    if isinstance(key, rsa.RSAPrivateKey):
        pad, hashed, sign_raw = _rsa_padding(algorithm), algorithm.hash, key.sign
        return lambda message: sign_raw(message, pad, hashed)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    raise TypeError(type(key).__name__)


def hmac_verifier(algorithm: Algorithm, secret: bytes) -> Verifier:
    """The function that checks a MAC, in constant time."""
    mac, compare = hmac_signer(algorithm, secret), hmac.compare_digest
    return lambda signature, message: compare(mac(message), signature)


def hmac_signer(algorithm: Algorithm, secret: bytes) -> Signer:
    """The function that makes a MAC (RFC 2104); the key is taken in once."""
    keyed = HMAC(secret, algorithm.hash).copy

    def mac(message: bytes) -> bytes:
        state = keyed()
        state.update(message)
        return state.finalize()

    return mac


def _ec_verifier(algorithm: Algorithm, key: ec.EllipticCurvePublicKey) -> Verifier:
    scheme, size, check = ec.ECDSA(algorithm.hash), algorithm.size, key.verify
    order, zero = ORDERS[algorithm.curve].to_bytes(size, "big"), bytes(size)

    def verify_ec(signature: bytes, message: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        r, s = signature[:size], signature[size:]
        if not (zero < r < order and zero < s < order):  # of one length they compare as their numbers do
            return False
        try:
            check(_der(r, s), message, scheme)
        except InvalidSignature:
            return False
        return True

    return verify_ec


def _der(r: bytes, s: bytes) -> bytes:
    """The ASN.1 of two positive numbers: each without leading zeros but the one that keeps it positive."""
    r, s = r.lstrip(b"\0"), s.lstrip(b"\0")
    if r[0] > 0x7F:
        r = b"\0" + r
    if s[0] > 0x7F:
        s = b"\0" + s
    body = b"\x02%c%b\x02%c%b" % (len(r), r, len(s), s)
    return b"\x30%c%b" % (len(body), body) if len(body) < 0x80 else b"\x30\x81%c%b" % (len(body), body)


def _raw(der: bytes, size: int) -> bytes:
    """The two numbers of an ASN.1 signature of ours, each of *size* bytes (RFC 7518 3.4)."""
    at = 4 if der[1] < 0x80 else 5
    end = at + der[at - 1]
    r, s = der[at:end].lstrip(b"\0"), der[end + 2 :].lstrip(b"\0")
    return r.rjust(size, b"\0") + s.rjust(size, b"\0")


def _rsa_verifier(algorithm: Algorithm, key: rsa.RSAPublicKey) -> Verifier:
    pad, hashed, check, size = _rsa_padding(algorithm), algorithm.hash, key.verify, (key.key_size + 7) // 8

    def verify_rsa(signature: bytes, message: bytes) -> bool:
        if len(signature) != size:
            return False
        try:
            check(signature, message, pad, hashed)
        except InvalidSignature:
            return False
        return True

    return verify_rsa


def _ed_verifier(key: ed25519.Ed25519PublicKey) -> Verifier:
    check = key.verify

    def verify_ed(signature: bytes, message: bytes) -> bool:
        try:
            check(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify_ed


def _rsa_padding(algorithm: Algorithm) -> padding.PKCS1v15 | padding.PSS:
    if algorithm.padding == "pss":
        return padding.PSS(padding.MGF1(algorithm.hash), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()
