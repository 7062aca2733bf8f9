"""An item: one input, where it comes from, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
