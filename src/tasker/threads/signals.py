"""``stop_on_signals``: stops a manager gracefully on SIGTERM or SIGINT, and kills it on the second one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from tasker.core.ports import StopRequests
from tasker.core.signals import Received

from .signal_listener import SignalListener


@contextlib.contextmanager
def stop_on_signals(engine: StopRequests, signums: tuple[int, ...]) -> Iterator[Received]:
    """See ``TaskManager.stop_on_signals``."""
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("stop_on_signals works in the main thread only, where Python delivers signals")
    received = Received()

    # Runs in the listener's thread. Requests return at once, so a second signal is not delayed.
    def receive(signum: int) -> None:
        name = signal.Signals(signum).name
        received.signals.append(signal.Signals(signum))
        if len(received.signals) == 1:
            engine.request_stop(f"received {name}")
        else:
            engine.request_kill(f"received {name} again", engine.config.cancel_grace)

    listener = SignalListener(signums or (signal.SIGTERM, signal.SIGINT), receive)
    listener.start()
    try:
        yield received
    finally:
        listener.close()
