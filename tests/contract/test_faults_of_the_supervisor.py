"""The supervisor goes on, whatever the user's scaling policy or a fault of the library does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from support import internals
from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import RetryPolicy
from tasker.control.events import AttemptFailed, Resized, StopRequested, Tick, Wakeup
from tasker.control.scaling import Decision


class Policy:
    """A scaling policy that decides as `answer` says, and counts its calls."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer
        self.calls = 0

    def decide(self, snapshot: Any, now: float) -> Any:
        """Return the answer."""
        self.calls += 1
        return self._answer()


class Faulty:
    """Stands in for `Supervisor.handle`: raises the next fault at an event of the kind, and records the others."""

    def __init__(self, kind: type, *faults: BaseException) -> None:
        self._kind = kind
        self._faults = list(faults)
        self.handled: list[Any] = []

    def __call__(self, handle: Callable[..., Any], event: Any, now: float) -> Any:
        if self._faults and isinstance(event, self._kind):
            raise self._faults.pop(0)
        self.handled.append(event)
        return handle(event, now)

    def count(self, kind: type) -> int:
        """How many events of a kind were handled after the last fault."""
        return 0 if self._faults else sum(isinstance(event, kind) for event in self.handled)


def raises(error: BaseException) -> Any:
    """Fail, as a policy may."""
    raise error


class Unprintable:
    """A reason that ends the program when it is shown."""

    def __str__(self) -> str:
        raise SystemExit("reason")


BAD = {
    "it raises": lambda: raises(ValueError("policy")),
    "it raises SystemExit": lambda: raises(SystemExit("policy")),
    "it raises KeyboardInterrupt": lambda: raises(KeyboardInterrupt("policy")),
    "it raises GeneratorExit": lambda: raises(GeneratorExit("policy")),
    "a reason that raises SystemExit": lambda: Decision(1, Unprintable()),  # type: ignore[arg-type]
    "None": lambda: None,
    "a target that is a str": lambda: Decision("3", "why"),  # type: ignore[arg-type]
    "a target that is a fraction": lambda: Decision(2.5, "why"),  # type: ignore[arg-type]
    "a target that is no number": lambda: Decision(float("nan"), "why"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", BAD)
async def test_a_broken_policy_is_logged(engine: Any, kit: Any, what: str) -> None:
    """A policy that raises or returns nonsense is logged at each tick; tasks run on, and stop() ends."""
    policy, logger = Policy(BAD[what]), RecordingLogger()
    async with engine.manager(scaling=policy, burst_interval=0.01, max_worker_count=4, logger=logger) as m:
        await eventually(lambda: policy.calls >= 3, 20, "it is asked again after its fault")
        assert await m.queue_task(kit.returns("value")) == "value"
        await eventually(lambda: "the scaling policy failed" in logger.text("error"))
        assert m.stats().active_workers == 1
        assert (await m.stop()).killed is False
    assert "the supervisor" not in logger.text("error"), "it is caught where it arises"


async def test_ticks_go_on_after_a_fault_at_a_tick(engine: Any, kit: Any) -> None:
    """A tick that can't be handled is logged and counted, and the next ticks come."""
    logger = RecordingLogger()
    faulty = Faulty(Tick, RuntimeError("at a tick"))
    async with engine.manager(logger=logger, burst_interval=0.01, max_worker_count=2) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        internals.wrap_handle(m, faulty)
        await eventually(lambda: faulty.count(Tick) >= 5, 10, "five ticks after the fault")
        assert "RuntimeError: at a tick" in logger.text("error")
        assert m.stats().user_errors == 1
        assert await m.queue_task(kit.returns("value")) == "value"
        assert (await m.stop()).killed is False


async def test_ticks_go_on_after_a_fault_at_another_event(engine: Any, kit: Any) -> None:
    """So they do after a fault at an event that a caller has reported; and the caller does not get the error."""
    logger = RecordingLogger()
    faulty = Faulty(Resized, RuntimeError("at a resize"))
    async with engine.manager(logger=logger, burst_interval=0.01, max_worker_count=2) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        internals.wrap_handle(m, faulty)
        m.resize(max_worker_count=3)
        await eventually(lambda: faulty.count(Tick) >= 5, 10, "five ticks after the fault")
        assert "RuntimeError: at a resize" in logger.text("error")
        assert m.stats().user_errors == 1
        m.resize(max_worker_count=4)
        await eventually(lambda: m.explain().max_worker_count == 4)


async def test_an_event_that_fails_does_not_keep_back_the_next(engine: Any, kit: Any) -> None:
    """Each fault is logged and counted with the event it came at, and what follows is handled."""
    logger = RecordingLogger()
    faulty = Faulty(Wakeup, RuntimeError("one"), SystemExit("two"))
    async with engine.manager(logger=logger, burst_interval=1000, max_worker_count=2) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        internals.wrap_handle(m, faulty)
        internals.report(m, Wakeup())
        internals.report(m, Wakeup())
        # A fault is counted and then logged, in another thread than this one.
        await eventually(lambda: logger.text("error").count("the supervisor, at Wakeup()") == 2, what="both are logged")
        assert m.stats().user_errors == 2
        assert await m.queue_task(kit.returns("value")) == "value"
        assert (await m.stop()).killed is False


@pytest.mark.parametrize("fault", [ValueError("action"), SystemExit(3)], ids=repr)
async def test_an_action_that_fails(engine: Any, kit: Any, fault: BaseException) -> None:
    """What an action raises, be it SystemExit, is logged, and the actions behind it are carried out."""
    logger = RecordingLogger()
    async with engine.manager(logger=logger) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        internals.fail_next_close(m, fault)
        internals.report(m, StopRequested("test"))
        await eventually(lambda: "RefuseTasks raised" in logger.text("error"))
        assert (await m.stop()).killed is False


async def test_an_endless_burst_interval(engine: Any, kit: Any) -> None:
    """A burst_interval longer than any timer of the system is a long one, and nothing else."""
    async with engine.manager(burst_interval=1e10, max_worker_count=2) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        m.resize(worker_count=2)
        await eventually(lambda: m.stats().active_workers == 2)
        assert (await m.stop()).killed is False


@pytest.mark.parametrize("error", [ValueError("inbox"), SystemExit("inbox")], ids=repr)
async def test_a_fault_behind_the_last_event(engine: Any, kit: Any, error: BaseException) -> None:
    """It is logged, and what waits behind it is done."""
    logger, called = RecordingLogger(), []
    async with engine.manager(logger=logger) as m:
        await m.queue_task(kit.returns())
        internals.call_at_the_end(m.raw, lambda: raises(error), lambda: called.append("next"))
        await m.stop()
        await eventually(lambda: called == ["next"])
        assert f"raised {type(error).__name__}: inbox" in logger.text("error")
        assert m.stats().user_errors == 1


class UnprintablePolicy(RetryPolicy):
    """A policy that ends the program when it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise SystemExit("repr")


async def test_a_fault_at_an_event_that_cannot_be_shown(engine: Any, kit: Any) -> None:
    """It is logged with the kind of the event; the task ends with its own error, and the supervisor goes on."""
    logger, policy = RecordingLogger(), UnprintablePolicy(retry_on=OSError)
    async with engine.manager(logger=logger, worker_count=1, max_worker_count=1) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        internals.wrap_handle(m, Faulty(AttemptFailed, RuntimeError("at an attempt")))
        with pytest.raises(OSError, match="its own"):
            await m.queue_task(kit.raises(OSError("its own")), retry=policy)
        assert "the supervisor, at AttemptFailed, raised RuntimeError" in logger.text("error")
        assert await m.queue_task(kit.returns("value"), retry=policy) == "value"
        assert (await m.stop()).killed is False


async def test_a_steady_stream_of_events_suppresses_no_tick(engine: Any) -> None:
    """The supervisor ticks though it gets events faster than it can be idle."""
    async with engine.manager(burst_interval=0.02) as m:
        ticks = internals.count_ticks(m.raw)

        async def pour() -> None:
            while len(ticks) < 3:
                internals.report(m.raw, Wakeup())
                await asyncio.sleep(0)

        await asyncio.wait_for(pour(), 20)
