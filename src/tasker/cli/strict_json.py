"""JSON as results are written: strict (no NaN), readable (no needless escapes), one line."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NoReturn

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SURROGATES = re.compile("[\ud800-\udfff]")

# What json raises for a value it cannot express: a type, NaN or a cycle, a nesting.
ENCODE_ERRORS = (TypeError, ValueError, RecursionError)


def encode(value: Any) -> str:
    """JSON of a value; one of ENCODE_ERRORS when there is none."""
    return _ENCODER.encode(value)


def decode(text: str) -> Any:
    """The value of strict JSON; ValueError or RecursionError for anything else."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def to_bytes(line: str) -> bytes:
    """UTF-8 of JSON text. Half a surrogate pair (a file name that is not UTF-8) is escaped."""
    try:
        return line.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", line).encode()


def fingerprint(text: str) -> int:
    """32 bits of an input's JSON, never 0: enough to notice that an input has changed."""
    return zlib.crc32(to_bytes(text)) or 1
