"""The supervisor's thread goes on, whatever the user's scaling policy or a fault of ours does to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import Call, wait_until
from tasker.control.events import Wakeup
from tasker.control.scaling import Decision


class Policy:
    """Answers with what `answer` returns, and counts."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer
        self.asked = threading.Semaphore(0)

    def decide(self, snapshot: Any, now: float) -> Any:
        """The answer."""
        self.asked.release()
        return self._answer()


def raises() -> Any:
    """A policy's mistake."""
    raise ValueError("policy")


BAD = {
    "it raises": raises,
    "None": lambda: None,
    "a target that is a str": lambda: Decision("3", "why"),  # type: ignore[arg-type]
    "a target that is a fraction": lambda: Decision(2.5, "why"),  # type: ignore[arg-type]
    "a target that is no number": lambda: Decision(float("nan"), "why"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", BAD)
def test_a_broken_policy_is_logged(threads: Any, what: str) -> None:
    """A policy that raises, or answers nonsense, is logged at each tick; tasks run on, and stop() ends."""
    policy, logger = Policy(BAD[what]), RecordingLogger()
    with threads.build(scaling=policy, burst_interval=0.01, max_worker_count=4, logger=logger) as m:
        for _ in range(3):
            assert policy.asked.acquire(timeout=20), "it is asked again after its fault"
        assert m.submit(lambda ctx, resource: "value").result(20) == "value"
        wait_until(lambda: "the scaling policy failed" in logger.text("error"))
        assert m.stats().active_workers == 1
        assert Call(m.stop).outcome().killed is False
    assert "the supervisor" not in logger.text("error"), "it is caught where it arises"


def test_a_fault_of_the_supervisor_does_not_end_its_thread(threads: Any) -> None:
    """An event that can't be handled is logged and counted, and the next one is handled."""
    logger = RecordingLogger()
    with threads.build(logger=logger) as m:
        wait_until(lambda: m.stats().active_workers == 1)
        supervisor = m._engine.supervisor
        handle = supervisor.handle
        faults = [RuntimeError("one"), KeyError("two")]

        def fails(event: Any, now: float) -> Any:
            if faults and isinstance(event, Wakeup):
                raise faults.pop()
            return handle(event, now)

        supervisor.handle = fails
        m._engine.report(Wakeup())
        m._engine.report(Wakeup())
        wait_until(lambda: m.stats().user_errors == 2, what="both are counted")
        assert "the supervisor, at Wakeup()" in logger.text("error")
        assert m.submit(lambda ctx, resource: "value").result(20) == "value"
        assert Call(m.stop).outcome().killed is False


@pytest.mark.parametrize("fault", [ValueError("action"), SystemExit(3)])
def test_an_action_that_fails_does_not_end_its_thread(threads: Any, fault: BaseException) -> None:
    """What an action raises, be it SystemExit, is logged, and the actions behind it are carried out."""
    logger = RecordingLogger()
    with threads.build(logger=logger) as m:
        wait_until(lambda: m.stats().active_workers == 1)

        def close(reason: str) -> None:
            m._engine.close = real
            raise fault

        real, m._engine.close = m._engine.close, close
        m._engine.request_stop("test")
        wait_until(lambda: "RefuseTasks raised" in logger.text("error"))
        assert Call(m.stop).outcome().killed is False


def test_an_endless_burst_interval(threads: Any) -> None:
    """A burst_interval longer than any wait of the system is a long one, and nothing else."""
    with threads.build(burst_interval=1e10, max_worker_count=2) as m:
        assert m.submit(lambda ctx, resource: "value").result(20) == "value"
        assert m._engine.thread.is_alive()
        assert Call(m.stop).outcome().killed is False
