"""JSON as results are written: strict (no NaN), readable (no needless escapes), one line."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from typing import Any, NoReturn

_SURROGATES = re.compile("[\ud800-\udfff]")

# What json raises for a value without a JSON form: an unknown type; NaN or a cycle; too deep a nesting.
ENCODE_ERRORS = (TypeError, ValueError, RecursionError)


def encoder(default: Callable[[Any], Any] | None = None) -> Callable[[Any], str]:
    """Returns a function that encodes values; ``default`` is asked for what has no JSON form. Thread-safe.

    A value that contains itself raises RecursionError.
    """
    plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, default=default)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without it
        return plain.encode
    # Made once: `JSONEncoder.encode` makes one for each value, which takes longer than most values.
    chunks = make(None, plain.default, json.encoder.encode_basestring, None, ": ", ", ", False, False, False)
    join = "".join

    def encode(value: Any) -> str:
        return join(chunks(value, 0))

    return encode


encode: Callable[[Any], str] = encoder()
"""Returns a value as JSON. Raises one of ENCODE_ERRORS if it has no JSON form."""


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]


def decode(text: str) -> Any:
    """Returns the value of a JSON text. Raises ValueError or RecursionError if it is not strict JSON.

    Not thread-safe: the scanner keeps the keys that it has seen.
    """
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError):
        pass  # white space before the value, or an error, which `loads` words better
    else:
        if end == len(text):
            return value
    return json.loads(text, parse_constant=_refuse)


def to_bytes(line: str) -> bytes:
    """Returns JSON text as UTF-8."""
    try:
        return line.encode()
    except UnicodeEncodeError:
        # A lone surrogate, as in a file name that is not UTF-8: JSON can express it as an escape.
        return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", line).encode()


def fingerprint(text: str) -> int:
    """Returns a 32-bit checksum of an item's JSON, by which a changed input is noticed. It is never 0."""
    return checksum(to_bytes(text))


def checksum(text: bytes) -> int:
    """`fingerprint` of a JSON that is encoded already."""
    # 0 is what a ResumeLedger has for an index without lines.
    return zlib.crc32(text) or 1
