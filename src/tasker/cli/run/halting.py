"""When too many failures end a run, for --halt."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

LEAST = 10
"""Completed items from which on a share of them says something."""


@dataclass(frozen=True, slots=True)
class Halt:
    """A number of failed items, or a share of all completed ones in percent."""

    limit: float
    is_share: bool = False

    def is_reached(self, failed: int, finished: int) -> bool:
        """Returns whether the run has to end."""
        if not self.is_share:
            return failed >= self.limit
        return finished >= LEAST and 100 * failed >= self.limit * finished

    def judged_at(self, finished: int, results: int) -> int:
        """Returns how many items had been completed when the share of failed ones was highest among the last moments: the last so
        many items have a result."""
        return min(finished, max(finished - results + 1, LEAST))

    def __str__(self) -> str:
        return f"{self.limit:g}%" if self.is_share else f"{self.limit:g}"


def halt(text: str) -> Halt:
    """Parses N or N%."""
    is_share = text.endswith("%")
    number = text.removesuffix("%")
    most = 100 if is_share else None
    if number.isascii() and number.isdigit() and int(number) >= 1 and (most is None or int(number) <= most):
        return Halt(int(number), is_share)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, or 1% to 100%, not {text!r}")
