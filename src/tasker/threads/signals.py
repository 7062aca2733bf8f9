"""``stop_on_signals``: stops a manager gracefully on SIGTERM or SIGINT, and kills it on the second one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from tasker.core.signals import Received, StopRequests, stop_or_kill

from .signal_listener import SignalListener


@contextlib.contextmanager
def stop_on_signals(engine: StopRequests, signums: tuple[int, ...]) -> Iterator[Received]:
    """See ``TaskManager.stop_on_signals``."""
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("stop_on_signals works in the main thread only, where Python delivers signals")
    received = Received()

    # In the listener's thread. Requests return at once, so a second signal is not delayed.
    listener = SignalListener(
        signums or (signal.SIGTERM, signal.SIGINT), lambda signum: stop_or_kill(engine, received, signum)
    )
    try:
        listener.start()
        yield received
    finally:
        try:
            listener.close()
        except BaseException:  # struck at its very beginning, perhaps
            listener.close()
            raise
