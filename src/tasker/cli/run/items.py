"""An item: one input, where it comes from, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """What a source yields: a value, or the reason why there is none."""

    value: Any
    raw: bytes  # in the source's own format, without the end of line: for --failed
    where: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One input with its place in the whole.

    `text`, its JSON, is made when it is read: the task may change `value` afterwards, and the
    result line must show what was fed in.
    """

    index: int
    value: Any
    text: str
    raw: bytes
    where: str
    problem: str | None = None
