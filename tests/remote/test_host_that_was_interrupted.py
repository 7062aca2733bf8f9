"""A session that has destroyed its resource and is not known to be dead yet, when its worker retires."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tasker.remote.threads_host import RemoteHost


def test_it_is_not_asked_to_leave() -> None:
    """It was interrupted and has reported the end of its resource; the next thing that its worker takes is its retirement."""
    counted: list[dict[str, int]] = []
    closed: list[Any] = []
    engine: Any = SimpleNamespace(queue=None, counters=SimpleNamespace(resource=lambda **more: counted.append(more)))
    sessions: Any = SimpleNamespace(options=None, close=closed.append)
    host = RemoteHost(SimpleNamespace(name="crew-1"), engine, sessions, None)  # type: ignore[arg-type]
    host._session = session = object()  # type: ignore[assignment]
    host._destroyed = True  # as `serve` notes it
    host.destroy()
    assert (closed, counted) == ([session], [{"destroyed": 1}])
