"""Room, sparklines and the texts of users."""

from __future__ import annotations

from math import nan

import pytest

from tasker.live.room import Wish, share
from tasker.live.sparkline import ASCII_BARS, sparkline
from tasker.watch.texts import clean


@pytest.mark.parametrize(
    ("lines", "given"),
    [
        (100, [9, 5, 2]),
        (
            15,
            [9, 4, 2],
        ),  # the least is 4 + 3 + 2; the rest goes to the first, up to what it wants, and then to the second
        (9, [4, 3, 2]),
        (8, [5, 3, 0]),  # a title alone is of no use, and its line goes to the first
        (6, [4, 2, 0]),
        (3, [3, 0, 0]),
        (1, [0, 0, 0]),
        (-5, [0, 0, 0]),
    ],
)
def test_room_is_shared(lines: int, given: list[int]) -> None:
    """Each part gets its least where there is room, and the rest goes to the most important ones."""
    assert share(lines, [Wish(9, 4), Wish(5, 3), Wish(2, 2)]) == given


def test_a_part_without_anything_gets_no_room() -> None:
    """Its least counts no more than what it wants."""
    assert share(5, [Wish(0, 0), Wish(9, 4)]) == [0, 5]


def test_a_sparkline() -> None:
    """Bars from zero to the greatest value, the last ones, filled up on the left; nothing for what is not known."""
    assert sparkline([0, 1, 2, 4], 4) == "▁▃▅█"
    assert sparkline([9, nan, 4, 2], 3) == " █▅"
    assert sparkline([1], 3) == "  █"
    assert sparkline([0, 0], 2) == "▁▁"
    assert sparkline([nan, nan], 2) == "  "
    assert sparkline([], 2) == "  "
    assert sparkline([1, 2], 0) == ""
    assert sparkline([0, 8], 2, ASCII_BARS) == "_#"


def test_texts_of_users() -> None:
    """What would move the cursor is escaped; what the encoding lacks, too; the rest stays."""
    assert clean("naïve 報告 [b]") == "naïve 報告 [b]"
    assert clean("a\n\tb\r\n") == "a b"
    assert clean("\x1b]0;title\x07") == r"\x1b]0;title\x07"
    assert clean("\u202eabc\u200b\ud800") == r"\u202eabc\u200b\ud800"
    assert clean("naïve 報", "latin-1") == "naïve \\u5831"
