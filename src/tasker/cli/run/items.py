"""An item: one input, where it comes from, and what is wrong with it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tasker.cli import strict_json
from tasker.cli.sources import Place


class Item(NamedTuple):
    """One input and its place among all inputs."""

    # A tuple, because that is made in a third of the time of a frozen dataclass.

    index: int  # type: ignore[assignment]  # over the method of tuples, which nobody calls here
    value: Any
    # The JSON of `value`, made when it is read: the task may change `value`, and the result line must
    # show the item as it was.
    text: str
    raw: bytes  # in the input's own format, without the end of line: for --failed
    where: Place
    problem: str | None = None  # why there is no value

    @property
    def fingerprint(self) -> int:
        """A checksum of the input, by which --resume notices that it has changed."""
        return strict_json.fingerprint(self.text)
