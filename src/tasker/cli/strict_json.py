"""JSON as results are written: strict (no NaN), readable (no needless escapes), one line."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NoReturn

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SURROGATES = re.compile("[\ud800-\udfff]")

# What json raises for a value without a JSON form: an unknown type; NaN or a cycle; too deep a nesting.
ENCODE_ERRORS = (TypeError, ValueError, RecursionError)


def encode(value: Any) -> str:
    """Returns a value as JSON. Raises one of ENCODE_ERRORS if it has no JSON form."""
    return _ENCODER.encode(value)


def decode(text: str) -> Any:
    """Returns the value of a JSON text. Raises ValueError or RecursionError if it is not strict JSON."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def to_bytes(line: str) -> bytes:
    """Returns JSON text as UTF-8."""
    try:
        return line.encode()
    except UnicodeEncodeError:
        # A lone surrogate, as in a file name that is not UTF-8: JSON can express it as an escape.
        return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", line).encode()


def fingerprint(text: str) -> int:
    """Returns a 32-bit checksum of an item's JSON, by which a changed input is noticed. It is never 0."""
    # 0 is what a ResumeLedger has for an index without lines.
    return zlib.crc32(to_bytes(text)) or 1
