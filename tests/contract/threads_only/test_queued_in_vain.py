"""A submit that comes in between two steps of the supervisor, with when_unavailable="fail"."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import ResourceError
from tasker.control import events as ev

BOOM = ConnectionError("database is away")


def nothing(ctx: Any, resource: Any) -> None:
    """Does nothing, if it runs."""


def test_a_task_that_is_queued_behind_the_look_at_the_queue(threads: Any) -> None:
    """The supervisor has looked which tasks wait, and fails them; the one that is submitted in that moment fails, too,
    although no other event follows."""
    late: list[Any] = []
    with threads.build(
        resources=ScriptedResources(then=BOOM), burst_interval=1000, creation_backoff=30, when_unavailable="fail"
    ) as m:
        engine = m._engine
        look = engine.waiting

        def looks() -> Any:
            seen = look()
            if not late:
                late.append(Call(lambda: m.submit(nothing)).outcome())
            return seen

        wait_until(lambda: m.stats().breaker == "open")
        # No other event comes to help: no tick, and no end of the pause.
        engine.supervisor._gate.retry_at = monotonic() + 1000
        handled = threading.Event()
        engine.report(ev.Wakeup())
        engine.soon(handled.set)
        assert handled.wait(20)
        engine.waiting = looks
        first = m.submit(nothing)
        assert isinstance(first.exception(20), ResourceError)
        assert isinstance(late[0].exception(20), ResourceError)


def test_a_task_that_comes_when_a_worker_is_ready_and_the_supervisor_has_not_heard_of_it(threads: Any) -> None:
    """The breaker is still open for the supervisor, which looks at the queue because of that task: it is not failed, since the
    worker is about to run it."""
    second = threads.gate()
    resources = ScriptedResources(BOOM, second)
    reporting, heard = threading.Event(), threading.Event()
    with threads.build(
        resources=resources, burst_interval=1000, creation_backoff=0.01, when_unavailable="fail", resource_pool_size=0
    ) as m:
        engine = m._engine
        report = engine.report

        def reports(event: Any) -> None:
            if type(event) is ev.WorkerReady:
                reporting.set()
                assert heard.wait(20)
            report(event)

        engine.report = reports
        second.open()
        try:
            assert reporting.wait(20)
            assert m.stats().breaker != "closed"
            future = m.submit(nothing)
            handled = threading.Event()
            engine.soon(handled.set)
            assert handled.wait(20)
            assert not future.done()
        finally:
            heard.set()
        assert future.exception(20) is None
