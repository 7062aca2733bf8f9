"""What a result line says of its item.

Most lines look like those that this program writes, with an input and a result that are flat. Of these a regular expression finds
what is needed, and that the line is JSON, in a fraction of the time of reading all of it. Any other line is read as JSON.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tasker.cli import strict_json

from .records import DONE, FAILED

# Possessive: none of the parts could end anywhere else. A text has no escapes, and numbers of an input are whole: then there is one
# way to write it, and its checksum is that of the bytes. (Not where a key comes twice, as in no line of this program: then the
# item counts as another one, and is run again.)
_TEXT = rb'"[^"\\\x00-\x1f]*+"'
_WHOLE = rb"(?:0|-?+[1-9][0-9]*+)"
_NUMBER = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+"


def _value(number: bytes) -> bytes:
    """Returns the expression for a value that is flat."""
    one = rb"(?:%s|%s|true|false|null)" % (_TEXT, number)
    pair = rb"%s: %s" % (_TEXT, one)
    return rb"(?:%s|\{(?:%s(?:, %s)*+)?+\}|\[(?:%s(?:, %s)*+)?+\])" % (one, pair, pair, one, one)


_QUICK = re.compile(
    rb'\{"index": (0|[1-9][0-9]{0,17}+), "input": (%s), "status": "done", "result": %s, "attempts": [0-9]++, "wait_s": %s, '
    rb'"execution_s": %s, (?:"started_at": %s, )?+"worker": %s, "job": "([^"\\\x00-\x1f]*+)"\}\n'
    % (_value(_WHOLE), _value(_NUMBER), _NUMBER, _NUMBER, _NUMBER, _TEXT)
)
_quick = _QUICK.fullmatch
_PLAIN_INPUT = re.compile(r'\{"index": \d+, "input": ("[^"\\\x00-\x1f]*"|0|-?[1-9][0-9]*), "status": ')
"""The beginning of a line whose input is a text without escapes, or a whole number: their JSON is always the same."""


class Line(NamedTuple):
    """What a line of an output says of its item."""

    index: int  # type: ignore[assignment]  # over the method of tuples, which nobody calls here
    fingerprint: int
    is_done: bool
    version: str  # of the job that made it; "" if the line does not say


def parse(line: bytes) -> Line | None:
    """Returns what a line says; None if it is not a result."""
    found = _quick(line)
    if found is None or not (line.isascii() or _is_text(line)):
        return _read(line)
    index, text, version = found.groups()
    return Line(int(index), strict_json.checksum(text), True, version.decode())


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(line: bytes) -> Line | None:
    try:
        decoded = line.decode()
        record = strict_json.decode(decoded[:-1])
        index, status, match = record["index"], record["status"], _PLAIN_INPUT.match(decoded)
        # Otherwise encoded anew, and so in the form in which fingerprints of items are taken.
        text = match[1] if match else strict_json.encode(record["input"])
        if not _is_index(index) or status not in (DONE, FAILED):
            return None
        return Line(index, strict_json.fingerprint(text), status == DONE, str(record.get("job") or ""))
    except (ValueError, RecursionError, TypeError, KeyError):
        return None


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0
