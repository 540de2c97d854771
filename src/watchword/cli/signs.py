"""Output whose encoding lacks some of our signs: each is spelled in ASCII, and nothing breaks off."""

from __future__ import annotations

import codecs
import sys
from contextlib import suppress
from encodings import ascii as ascii_codec
from typing import Any, Final

__all__ = ["spell_out_signs", "takes_every_sign"]

_SPELLED: Final = {
    "→": "->",
    "←": "<-",
    "✓": "+",
    "✗": "x",
    "–": "-",
    "—": "-",
    "…": "...",
    "·": "*",
    "•": "*",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""What our own texts use. A stranger's letters become escapes, which say which letters they were."""

_ERRORS: Final = "watchword.signs"
_ASCII: Final = "watchword_ascii"


def spell_out_signs() -> None:
    """Let stdout and stderr take every text, whatever their encoding."""
    codecs.register_error(_ERRORS, _spell)
    codecs.register(_find)
    for stream in (sys.stdout, sys.stderr):
        if takes_every_sign(stream):
            continue
        with suppress(AttributeError, LookupError, ValueError):  # somebody put another kind of stream there
            # Click takes "ascii" for a mistake and writes UTF-8 instead, so it goes by another name here.
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else stream.encoding, errors=_ERRORS)  # type: ignore[union-attr]


def takes_every_sign(stream: Any) -> bool:
    """Whether the encoding of *stream* has every sign."""
    with suppress(LookupError):
        return codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name.startswith("utf")
    return False


def _spell(fault: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    spelled = []
    for letter in fault.object[fault.start : fault.end]:
        escaped = letter.encode("ascii", "backslashreplace").decode()
        spelled.append(_SPELLED.get(letter, escaped))
    return "".join(spelled), fault.end


def _find(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    return codecs.CodecInfo(
        ascii_codec.Codec.encode,
        ascii_codec.Codec.decode,
        name=_ASCII,
        incrementalencoder=_Encoder,
        incrementaldecoder=ascii_codec.IncrementalDecoder,
        streamwriter=ascii_codec.StreamWriter,
        streamreader=ascii_codec.StreamReader,
    )


class _Encoder(codecs.IncrementalEncoder):
    def encode(self, text: str, final: bool = False) -> bytes:
        """ASCII."""
        return codecs.ascii_encode(text, self.errors)[0]
