"""`as_executor()` of a manager with child processes."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from support.files_between_processes import FileGate

from . import work


def test_a_shutdown_that_cancels_spares_what_runs(make: Any, door: FileGate) -> None:
    """As in the standard library: what waits is cancelled, also if it was sent ahead, and what runs ends by itself, even
    where a cancelled task is ended by force at once."""
    with make(cancel_grace=0) as m:
        view = m.as_executor()
        # Short ones first, so that the child gets several at once.
        assert [view.submit(pow, 2, n).result(30) for n in range(50)] == [2**n for n in range(50)]
        running = view.submit(door.pass_through)
        (pid,) = door.wait_arrivals(1)
        waiting: list[Future[int]] = [view.submit(pow, 3, n) for n in range(50)]
        view.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in waiting)
        assert not running.done()
        door.open()
        assert running.result(30) is None
        assert m.queue_task(work.pid) == pid
        assert m.stats().resources.lost == 0
