"""Layout: a frame as the lines of a screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tasker.watch.frame import Frame

from .head import head
from .look import Look
from .room import share
from .sections import sections


def screen(frame: Frame, look: Look, above: Sequence[Text] = ()) -> list[Text]:
    """Returns at most ``look.height`` lines, none wider than ``look.width``. ``above``: lines to begin with."""
    upper = [*above, *head(frame, look)][: max(0, look.height)]
    parts = sections(frame, look)
    given = share(look.height - len(upper), [part.wish for part in parts])
    lower = [line for part, count in zip(parts, given, strict=True) for line in part.lines(count, look)]
    return [*upper, *lower]
