"""A set that another thread changes while it is looked through, as can happen at any moment without the GIL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Disturbed(set[Any]):
    """Something is added as soon as an iteration over it has begun. A copy, which is one step, is made as ever."""

    def __iter__(self) -> Iterator[Any]:
        for number, item in enumerate(super().__iter__()):
            if not number:
                self.add(object())
            yield item
