"""What ``stop_on_signals`` is on both engines: what a signal asks for, and what the block gets to see of it."""

from __future__ import annotations

import signal
from typing import Any, Protocol

from tasker.config import Config


class Received:
    """The signals that came."""

    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def __bool__(self) -> bool:
        return bool(self.signals)


class StopRequests(Protocol):
    """What ends a manager from outside: a signal, the exit of the interpreter."""

    @property
    def config(self) -> Config[Any]: ...

    def request_stop(self, reason: str, timeout: float | None = None) -> None:
        """Begins a graceful stop; does not wait."""

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill; does not wait."""


def stop_or_kill(engine: StopRequests, received: Received, signum: int) -> None:
    """Requests what a signal asks for: the first one a graceful stop, each further one a kill. Returns at once."""
    name = signal.Signals(signum).name
    received.signals.append(signal.Signals(signum))
    if len(received.signals) == 1:
        engine.request_stop(f"received {name}")
    else:
        engine.request_kill(f"received {name} again", engine.config.cancel_grace)
