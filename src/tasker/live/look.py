"""Look: the size of a screen and what it can show; how text is cut to that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from tasker.watch.texts import clean

from .sparkline import ASCII_BARS, BARS

Piece = tuple[str, str]
"""A text, and its style in the words of rich."""


@dataclass(frozen=True, slots=True)
class Look:
    """The size in columns and lines, and the encoding. Immutable."""

    width: int = 80
    height: int = 24
    encoding: str = "utf-8"

    @property
    def is_unicode(self) -> bool:
        """Whether it can show more than ASCII."""
        return self.encoding.lower().replace("-", "").startswith("utf")

    @property
    def bars(self) -> str:
        return BARS if self.is_unicode else ASCII_BARS

    @property
    def arrow(self) -> str:
        return "\N{RIGHTWARDS ARROW}" if self.is_unicode else "->"

    @property
    def rule(self) -> str:
        return "\N{BOX DRAWINGS LIGHT HORIZONTAL}" if self.is_unicode else "-"

    @property
    def ellipsis(self) -> str:
        return "\N{HORIZONTAL ELLIPSIS}" if self.is_unicode else "~"

    def clean(self, text: str) -> str:
        """Returns a text of the user's as it can be shown."""
        return clean(text, self.encoding)

    def cut(self, text: str, width: int) -> str:
        """Returns a text cut off at a width in columns."""
        if cell_len(text) <= width:
            return text
        if width <= 0:
            return ""
        kept = Text(text)
        kept.truncate(width - 1)
        return kept.plain.rstrip() + self.ellipsis

    def line(self, *pieces: Piece) -> Text:
        """Returns a line, cut off at the right edge."""
        line = Text(no_wrap=True, overflow="crop")
        left = self.width
        for text, style in pieces:
            shown = self.cut(text, left)
            line.append(shown, style or None)
            left -= cell_len(shown)
        return line

    def split(self, left: Sequence[Piece], right: Sequence[Piece]) -> Text:
        """Returns a line with something at its left, which is cut off where that is needed, and something at its right edge."""
        taken = sum(cell_len(text) for text, _ in right)
        room = Look(self.width - taken - (1 if taken else 0), 1, self.encoding)
        line = room.line(*left)
        line.append(" " * (self.width - taken - line.cell_len))
        for text, style in right:
            line.append(text, style or None)
        line.truncate(max(0, self.width))
        return line

    def flow(self, label: str, fields: Iterable[Piece], indent: int = 0) -> list[Text]:
        """Returns lines with as many of the fields in each as fit, two spaces apart, under a label of ``indent`` columns."""
        lines: list[list[Piece]] = []
        used = self.width + 1
        for text, style in fields:
            size = cell_len(text)
            if used + 2 + size > self.width:
                lines.append([(" " * indent if lines else label.ljust(indent), "dim")])
                used = indent
            else:
                lines[-1].append(("  ", ""))
                used += 2
            lines[-1].append((text, style))
            used += size
        return [self.line(*pieces) for pieces in lines]
