"""Workers that retire while something else is about to end them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasker.control.lifecycle import Door
from tasker.remote.threads_host import RemoteHost
from tasker.remote.window import InFlightWindow
from tasker.threads.queue import RETIRE


def test_it_is_not_asked_to_leave() -> None:
    """It was interrupted and has reported the end of its resource; the next thing that its worker takes is its retirement."""
    counted: list[dict[str, int]] = []
    closed: list[Any] = []
    engine: Any = SimpleNamespace(queue=None, counters=SimpleNamespace(resource=lambda **more: counted.append(more)))
    sessions: Any = SimpleNamespace(options=None, end=closed.append)
    host = RemoteHost(SimpleNamespace(name="crew-1"), engine, sessions, None)  # type: ignore[arg-type]
    host._session = session = object()  # type: ignore[assignment]
    host._destroyed = True  # as `serve` notes it
    host.destroy()
    assert (closed, counted) == ([session], [{"destroyed": 1}])


def test_an_unhealthy_one_does_not_retire() -> None:
    """The supervisor knows by the failed attempt that this worker ends; so another one has to retire in its place."""
    reported: list[Any] = []
    engine: Any = SimpleNamespace(queue=None, door=Door.OPEN, killed=False, report=reported.append)
    sessions: Any = SimpleNamespace(options=None)
    worker: Any = SimpleNamespace(name="crew-1", seat=1, cools_until=0.0)
    host = RemoteHost(worker, engine, sessions, None)  # type: ignore[arg-type]
    host._order = RETIRE
    window: Any = SimpleNamespace(in_hand=0, unhealthy=True, spent=lambda: True, take_back=lambda: None)
    window.report_spent = lambda seat: InFlightWindow.report_spent(window, seat)
    assert not host._fill(window)
    assert not reported
    assert host._order is RETIRE, "`serve` hands it on"
