"""What a kill cancels: the roots, and the contexts of the tasks that run."""

from __future__ import annotations

import pytest

from tasker import Context, TaskKilled
from tasker.core.mapping import cancel_all
from unit.core.fakes import ToyEngine


def test_all_are_cancelled() -> None:
    """The roots and the running contexts are cancelled with TaskKilled, which says why."""
    engine = ToyEngine()
    engine.refusal = "over"
    running = Context(engine.root)
    engine.contexts.append(running)
    seen: list[BaseException | None] = []
    running.on_cancel(lambda: seen.append(running.cause))
    engine.cancel_contexts()
    assert engine.root.cancelled
    assert engine.run_task_root.cancelled
    assert [(type(cause), str(cause)) for cause in seen] == [(TaskKilled, "over")]


def test_a_callback_that_raises_stops_nothing() -> None:
    """Its error is logged and counted, and the other contexts are cancelled."""
    engine = ToyEngine()
    first, second = Context(engine.root), Context(engine.root)
    engine.contexts += [first, second]

    def broken() -> None:
        raise SystemExit("mine")

    first.on_cancel(broken)
    engine.cancel_contexts()
    assert first.cancelled
    assert second.cancelled
    assert engine.run_task_root.cancelled
    assert "on_cancel raised SystemExit: mine" in engine.logger.text("error")
    assert engine.user_errors() == 1


def test_callbacks_come_last() -> None:
    """Both roots are cancelled, and their waiters woken, before the first callback is called."""
    engine = ToyEngine()
    contexts = [Context(engine.root), Context(engine.root), Context(engine.run_task_root)]
    engine.contexts += contexts[:2]
    seen: list[list[bool]] = []
    for context in contexts:
        context.on_cancel(lambda: seen.append([one.cancelled for one in contexts]))
    engine.cancel_contexts()
    assert seen == [[True] * 3] * 3


class Future:
    """Something to cancel."""

    def __init__(self, pending: set[Future]) -> None:
        self._pending = pending
        pending.add(self)

    def cancel(self) -> bool:
        """Leave the set."""
        self._pending.discard(self)
        return True


def test_cancel_all() -> None:
    """Futures may leave the collection while they are cancelled."""
    pending: set[Future] = set()
    for _ in range(3):
        Future(pending)
    cancel_all(pending, pytest.fail)
    assert pending == set()


class Raises:
    """A future whose cancellation raises, and what logs that."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.cancelled = False
        self.faults: list[BaseException] = []

    def cancel(self) -> bool:
        """It is cancelled all the same."""
        self.cancelled = True
        if self.error is not None:
            raise self.error
        return True

    def callback_fault(self, future: object, error: BaseException) -> None:
        """Note it."""
        assert future is self
        self.faults.append(error)


def test_cancel_all_where_callbacks_raise() -> None:
    """Their errors are logged, each at its task; all are cancelled, and then Ctrl-C is raised."""
    error = OSError("closed already")
    futures = [Raises(one) for one in (None, error, KeyboardInterrupt(), None)]
    with pytest.raises(KeyboardInterrupt):
        cancel_all(futures, lambda future: future)
    assert [one.cancelled for one in futures] == [True] * 4
    assert [one.faults for one in futures] == [[], [error], [], []]


def test_a_task_that_ends_as_it_sees_the_cancellation() -> None:
    """Its callback is called, though the task is gone when the contexts are cancelled."""
    engine = ToyEngine()
    running = Context(engine.root)
    engine.contexts.append(running)
    called: list[str] = []
    running.on_cancel(lambda: called.append("callback"))

    class EndsTheTask(list[object]):
        def insert(self, index: object, entry: object) -> None:
            super().insert(0, entry)
            engine.contexts.clear()

    engine.root._watchers = EndsTheTask()  # type: ignore[assignment]
    engine.cancel_contexts()
    assert called == ["callback"]
