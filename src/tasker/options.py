"""The options of a submission."""

from __future__ import annotations

import enum


class Priority(enum.IntEnum):
    """A task of a smaller value is started first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2
