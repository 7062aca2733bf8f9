"""What ``stop_on_signals`` gives its block, on both engines."""

from __future__ import annotations

import signal


class Received:
    """The signals that came."""

    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def __bool__(self) -> bool:
        return bool(self.signals)
