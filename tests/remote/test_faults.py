"""A fault of the manager's own process while it sends tasks or takes their outcomes loses none of them.

What was taken from the queue and not sent goes back, what was read is delivered, and only a task that has begun and reported
nothing is lost with its session.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.toy_session import ToyBackend, ToySession, ToySessions
from tasker import AsyncTaskManager, Config, TaskManager, WorkerLost
from tasker.remote import threads_host, window
from tasker.remote.context import RemoteContext
from tasker.remote.events import ERROR, RESULT
from tasker.remote.mailbox import Mailbox
from tasker.remote.prefetch import Prefetch
from tasker.remote.targeted_wakeup import TargetedWakeup
from tasker.remote.window import InFlightWindow
from tasker.threads.queue import TaskQueue

TASKS = 4_000
FAULTS = [MemoryError("none left"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
engines = pytest.mark.parametrize("engine", ["threads", "asyncio"])
faults = pytest.mark.parametrize("fault", FAULTS, ids=[type(fault).__name__ for fault in FAULTS])


class Crew:
    """Runs tasks over toys with either engine, and keeps their outcomes."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.ran: Counter[int] = Counter()
        self.outcomes: list[Any] = []
        self.stats: Any = None

    def task(self, ctx: Any, resource: Any, number: int) -> int:
        """Every tenth raises."""
        self.ran[number] += 1
        if number % 10 == 9:
            raise LookupError(number)
        return number

    async def atask(self, ctx: Any, resource: Any, number: int) -> int:
        """`task` as a coroutine function."""
        return self.task(ctx, resource, number)

    def run(self, once: bool = False, **options: Any) -> None:
        """Submit all tasks and wait for them; a stop follows, which waits for whatever is outstanding."""
        resources = ScriptedResources()
        asynchronous = self.engine == "asyncio"
        config = Config(
            on_create=resources.acreate if asynchronous else resources.create,
            on_destroy=resources.adestroy if asynchronous else resources.destroy,
            worker_count=1,
            max_worker_count=1,
            resource_pool_size=0,
            backend=ToyBackend(),
            **options,
        )
        if asynchronous:
            asyncio.run(self._arun(config, once))
        else:
            with TaskManager(config) as m:
                futures = [m.submit(self.task, n, once=once) for n in range(TASKS)]
                self.outcomes = [future.exception(30) or future.result(0) for future in futures]
            self.stats = m.stats()
        flow = self.stats
        assert (flow.accepted_tasks, flow.queued_tasks, flow.running_tasks) == (TASKS, 0, 0)
        assert flow.done_tasks == TASKS

    async def _arun(self, config: Config[Any], once: bool) -> None:
        async with AsyncTaskManager(config) as m:
            futures = [m.submit(self.atask, n, once=once) for n in range(TASKS)]
            async with asyncio.timeout(30):
                self.outcomes = await asyncio.gather(*futures, return_exceptions=True)
        self.stats = m.stats()

    def check(self, lost: int = 0) -> None:
        """Each task has its own outcome, but for so many lost with their session, and none ran twice for nothing."""
        wrong = {n: one for n, one in enumerate(self.outcomes) if not right(n, one)}
        assert len(wrong) <= lost, wrong
        assert all(isinstance(one, WorkerLost) for one in wrong.values()), wrong


def right(number: int, outcome: Any) -> bool:
    """Whether that is what the task returns or raises."""
    if number % 10 == 9:
        return isinstance(outcome, LookupError) and outcome.args == (number,)
    return bool(outcome == number)


def once_in(calls: int, fault: BaseException) -> Callable[[], None]:
    """Raises a fault in one call, the first after so many."""
    left = [calls]

    def strike() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise fault

    return strike


def skip_where_not_raised(engine: str, fault: BaseException) -> None:
    """Skip a cancellation that nothing would raise between two steps."""
    if engine == "asyncio" and isinstance(fault, asyncio.CancelledError):
        pytest.skip("in a loop, it is raised where something is awaited")


@engines
@faults
@pytest.mark.parametrize("sent", [0.0, 0.5, 1.0], ids=["nothing sent", "half", "all"])
def test_sending_fails(engine: str, fault: BaseException, sent: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a message: what was not sent goes back, what was sent and not begun as well."""
    crew, send = Crew(engine), ToySession.send
    strike = once_in(3, fault)

    def failing(self: ToySession, tasks: Any, alone: bool = False) -> Any:
        try:
            strike()
        except BaseException:
            send(self, [*tasks][: int(len(tasks) * sent)])
            raise
        return send(self, tasks, alone)

    monkeypatch.setattr(ToySession, "send", failing)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1
    assert crew.stats.lost_workers == 1


@engines
@faults
def test_reading_fails(engine: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything was read: it is read when the session has ended."""
    if engine == "asyncio" and not isinstance(fault, Exception):
        pytest.skip("a loop's callback ends the loop by what is no Exception")
    crew, take = Crew(engine), Mailbox.take
    strike = once_in(5, fault)

    def failing(self: Mailbox) -> Any:
        strike()
        return take(self)

    monkeypatch.setattr(Mailbox, "take", failing)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


class Times(list[float]):
    """A list that lacks memory once."""

    def __init__(self, strike: Callable[[], None]) -> None:
        super().__init__()
        self.strike = strike

    def append(self, seconds: float) -> None:
        """Fail, or do it."""
        self.strike()
        super().append(seconds)


@engines
@pytest.mark.parametrize("which", ["execution", "wait"])
@pytest.mark.parametrize("calls", [1, 150])
def test_counting_fails(engine: str, which: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps of a result that was read: that task alone is lost, and the books are right."""
    from tasker.metrics import meter

    crew, make = Crew(engine), meter.Meter.__init__
    strike = once_in(calls, MemoryError())

    def making(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        setattr(self, which, Times(strike))

    monkeypatch.setattr(meter.Meter, "__init__", making)
    crew.run(once=True)
    crew.check(lost=2)  # and the task that ran when the session was ended
    assert max(crew.ran.values()) == 1
    assert sum(isinstance(one, WorkerLost) for one in crew.outcomes) >= 1


@engines
@pytest.mark.parametrize("kind", [RESULT, ERROR])
def test_an_outcome_comes_twice(engine: str, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a task had forked there, and both had reported: the others keep their outcomes."""
    crew, put = Crew(engine), Mailbox.put
    left = [3]

    def twice(self: Mailbox, event: Any) -> None:
        put(self, event)
        if event[0] == kind:
            left[0] -= 1
            if left[0] == 0:
                put(self, event)

    monkeypatch.setattr(Mailbox, "put", twice)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


@engines
def test_going_back_fails(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many that go back to the queue cannot, at first: it and the others do."""
    from tasker.aio.queue import AsyncTaskQueue

    crew, send = Crew(engine), ToySession.send
    for kind in (TaskQueue, AsyncTaskQueue):
        strike = once_in(2, MemoryError())

        def failing(self: Any, future: Any, level: int, strike: Any = strike, put_back: Any = kind.put_back) -> None:
            strike()
            put_back(self, future, level)

        monkeypatch.setattr(kind, "put_back", failing)
    lose = once_in(3, MemoryError())

    def losing(self: ToySession, tasks: Any, alone: bool = False) -> Any:
        lose()
        return send(self, tasks, alone)

    monkeypatch.setattr(ToySession, "send", losing)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


@faults
@pytest.mark.parametrize("step", ["take_some", "take_for_token"])
def test_taking_fails(fault: BaseException, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken from the queue goes back, though it was not handed over yet."""
    crew, take = Crew("threads"), getattr(TaskQueue, step)
    strike = once_in(2, fault)

    def failing(*args: Any) -> Any:
        order = take(*args)
        strike()
        return order

    monkeypatch.setattr(TaskQueue, step, failing)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


@engines
@faults
def test_taking_back_fails(engine: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken out of what is in flight, to be sent again after an error, goes back to the queue."""
    skip_where_not_raised(engine, fault)
    crew, recall = Crew(engine), ToySession.recall
    strike = once_in(3, fault)

    def failing(*args: Any) -> Any:
        back = recall(*args)
        strike()
        return back

    monkeypatch.setattr(ToySession, "recall", failing)
    crew.run(once=True, check_health=lambda error: True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1
    assert crew.stats.lost_workers == 1


@engines
@faults
def test_going_back_is_interrupted(engine: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the tasks are about to go back to the queue, all of them do."""
    skip_where_not_raised(engine, fault)
    crew, give_back = Crew(engine), InFlightWindow.give_back
    strike = once_in(1, fault)

    def failing(*args: Any, **options: Any) -> None:
        strike()
        give_back(*args, **options)

    monkeypatch.setattr(InFlightWindow, "give_back", failing)
    monkeypatch.setattr(InFlightWindow, "_handled", lambda self, *_: self._silent())  # so that something does
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


@engines
@faults
def test_beginning_fails(engine: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between taking a task to have begun and counting it as running: the books are right."""
    skip_where_not_raised(engine, fault)
    crew, strike = Crew(engine), once_in(5, fault)

    def context(*args: Any) -> RemoteContext:
        strike()
        return RemoteContext(*args)

    monkeypatch.setattr(window, "RemoteContext", context)
    crew.run(once=True)
    crew.check(lost=1)
    assert max(crew.ran.values()) == 1


@faults
def test_waiting_fails(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was to be woken and is gone does not keep the next one waiting for it."""
    crew, next_token = Crew("threads"), TargetedWakeup.next_token
    strike = once_in(3, fault)

    def failing(self: TargetedWakeup, member: Any, timeout: float | None = None) -> object:
        try:
            strike()
        except BaseException:
            self._waiting.add(member)  # as if nothing behind this had run
            raise
        return next_token(self, member, timeout)

    monkeypatch.setattr(TargetedWakeup, "next_token", failing)
    monkeypatch.setattr(Prefetch, "in_hand", lambda *_: 1)
    crew.run(once=True)
    crew.check()


@faults
@pytest.mark.parametrize("step", ["leave_and_wait", "close"])
def test_the_end_fails(fault: BaseException, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger adds up."""
    crew, strike = Crew("threads"), once_in(1, fault)
    owner: Any = threads_host if step == "leave_and_wait" else ToySessions
    real = getattr(owner, step)

    def failing(*args: Any) -> Any:
        outcome = real(*args)
        strike()
        return outcome

    monkeypatch.setattr(owner, step, failing)
    crew.run(once=True)
    crew.check()
    ledger = crew.stats.resources
    assert (ledger.created, ledger.destroyed + ledger.lost, ledger.alive) == (1, 1, 0)
