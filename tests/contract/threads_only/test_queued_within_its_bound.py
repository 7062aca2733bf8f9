"""``stats()`` never shows more queued tasks than ``max_queue_size``, where none is retried."""

from __future__ import annotations

from typing import Any

from tasker import MaxRetriesExceeded
from tasker.control.events import AttemptFailed


def queued(m: Any) -> int:
    """How many wait, by `stats()`."""
    stats = m.stats()
    return int(stats.queued_tasks + stats.priority_tasks)


def test_an_attempt_that_failed_for_good_is_not_queued_again(threads: Any) -> None:
    """With max_retries=0 a task on its way from its worker to its error does not count as queued beyond the bound."""
    sick_gate, supervisor = threads.gate(), threads.gate()

    def sick(ctx: Any, resource: Any) -> None:
        sick_gate.pass_through()
        raise OSError

    with threads.build(max_queue_size=1, max_retries=0, check_health=lambda error: False) as m:
        future = m.submit(sick)
        sick_gate.wait_arrivals(1)
        waiting = m.submit(lambda ctx, resource: "next")
        handle = m._engine.supervisor.handle

        def held(event: Any, now: float) -> Any:
            if isinstance(event, AttemptFailed):
                supervisor.pass_through()
            return handle(event, now)

        m._engine.supervisor.handle = held
        sick_gate.open()
        supervisor.wait_arrivals(1)
        seen = queued(m)
        supervisor.open()
        assert seen == 1
        assert isinstance(future.exception(20), MaxRetriesExceeded)
        assert waiting.result(20) == "next"


def test_a_place_that_is_taken_over_in_the_middle_of_a_reading(threads: Any) -> None:
    """A task that is cancelled, and the next one in its place, are not both seen in the queue."""
    gate = threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        first = m.submit(lambda ctx, resource: None)
        books = m._engine.counters
        numbers = books.numbers

        class TakenOver:
            """Reads the numbers right after the place changed hands."""

            def value(self) -> int:
                books.numbers = numbers
                assert first.cancel()
                m.submit(lambda ctx, resource: None, block=False)
                return int(numbers.value())

        books.numbers = TakenOver()
        seen = queued(m)
        gate.open()
        assert seen == 1
    assert m.stats().accepted_tasks == m.stats().done_tasks == 3
