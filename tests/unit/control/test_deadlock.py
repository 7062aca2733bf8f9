"""Whether a wait can ever end."""

from __future__ import annotations

from tasker.control.deadlock import Outlook, WaitGraph


class Thing:
    """Something to wait for."""

    def __init__(self) -> None:
        self.happened = False

    def done(self) -> bool:
        """Whether it has happened."""
        return self.happened


def test_a_worker_is_left() -> None:
    """While a living worker does not wait, a wait is fine."""
    graph: WaitGraph[str] = WaitGraph()
    assert graph.enter("a", Thing(), limit=2, workers=2, living=2) is Outlook.FINE
    assert "a" in graph
    assert graph.waiting() == 1


def test_the_last_wait_is_refused() -> None:
    """When every worker that there can be waits, the last one is refused, and is not entered."""
    graph: WaitGraph[str] = WaitGraph()
    graph.enter("a", Thing(), limit=2, workers=2, living=2)
    assert graph.enter("b", Thing(), limit=2, workers=2, living=2) is Outlook.DEADLOCK
    assert "b" not in graph
    assert graph.waiting() == 1


def test_the_pool_may_grow() -> None:
    """When every living worker waits and the pool may grow, it has to."""
    graph: WaitGraph[str] = WaitGraph()
    assert graph.enter("a", Thing(), limit=2, workers=1, living=1) is Outlook.NEEDS_WORKER


def test_what_has_happened_is_not_waited_for() -> None:
    """A worker whose wait is over but that has not left yet counts as free."""
    graph: WaitGraph[str] = WaitGraph()
    thing = Thing()
    graph.enter("a", thing, limit=2, workers=2, living=2)
    thing.happened = True
    assert graph.enter("b", Thing(), limit=2, workers=2, living=2) is Outlook.FINE


def test_surplus_workers_of_a_smaller_limit_count() -> None:
    """After a resize downwards the workers that have not retired yet may still bring it about."""
    graph: WaitGraph[str] = WaitGraph()
    assert graph.enter("a", Thing(), limit=1, workers=2, living=2) is Outlook.FINE
    assert graph.enter("b", Thing(), limit=1, workers=2, living=2) is Outlook.DEADLOCK


def test_leaving() -> None:
    """A wait that is over is taken out; leaving twice does no harm."""
    graph: WaitGraph[str] = WaitGraph()
    graph.enter("a", Thing(), limit=1, workers=2, living=2)
    graph.leave("a")
    graph.leave("a")
    assert "a" not in graph
    assert graph.waiting() == 0
