"""What a signal asks for."""

from __future__ import annotations

import signal

from tasker import Config
from tasker.core.signals import Received, stop_or_kill


class Requests:
    """Keeps what was requested."""

    def __init__(self) -> None:
        self.config: Config[object] = Config(worker_count=1, on_create=object, cancel_grace=7)
        self.calls: list[tuple[object, ...]] = []

    def request_stop(self, reason: str, timeout: float | None = None) -> None:
        """Keep the call."""
        self.calls.append(("stop", reason, timeout))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Keep the call."""
        self.calls.append(("kill", reason, timeout))


def test_the_first_signal_stops_and_each_further_one_kills() -> None:
    """A kill has the grace of the configuration; the block sees every signal."""
    engine, received = Requests(), Received()
    assert not received
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        stop_or_kill(engine, received, signum)
    assert engine.calls == [
        ("stop", "received SIGTERM", None),
        ("kill", "received SIGINT again", 7),
        ("kill", "received SIGTERM again", 7),
    ]
    assert received
    assert received.signals == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
