"""check_health, on_return, on_quarantine, retry_on and the collector: called where they are there, guarded always."""

from __future__ import annotations

from typing import Any

import pytest

from support.observers import RaisingCollector, RecordingCollector, RecordingLogger
from tasker import Config, Health, PoisonTask, Quarantined, RetryPolicy
from tasker.control.attempts import Verdict
from tasker.core.hooks import Hooks
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import TaskLifecycleTimestamps

STAMPS = TaskLifecycleTimestamps(1.0, 2.0, 3.0)
INFO = Quarantined(7, "mod.fn", print, (), (), PoisonTask("why"))


class Rig:
    """Hooks, what they log and how many faults they count."""

    def __init__(self, **config: Any) -> None:
        self.logger = RecordingLogger()
        self.faults = 0
        self.hooks = Hooks(
            Config(worker_count=1, on_create=object, **config), GuardedLogger(self.logger, "pool", self._count)
        )

    def _count(self) -> None:
        self.faults += 1

    def call_all(self) -> None:
        """Let everything happen once that a collector is interested in."""
        self.hooks.arrival()
        self.hooks.completion(STAMPS)
        self.hooks.failure(STAMPS, None, OSError())
        self.hooks.failure(STAMPS, None, OSError(), cancelled=True)
        self.hooks.retry()


def test_without_check_health_no_resource_is_to_blame() -> None:
    """Each error is the task's own fault, and nothing is logged."""
    rig = Rig()
    assert rig.hooks.health(OSError()) is Health.OK
    assert (rig.faults, rig.logger.lines) == (0, [])


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (True, Health.OK),
        (False, Health.REPLACE),
        (Health.DEPENDENCY_DOWN, Health.DEPENDENCY_DOWN),
        (Health.COOL_DOWN(2), Health.COOL_DOWN(2.0)),
    ],
)
def test_check_health_decides(answer: Any, health: Health) -> None:
    """It is asked about the error, and may answer with a bool or a Health."""
    asked = []

    def check_health(error: BaseException) -> Any:
        asked.append(error)
        return answer

    error = OSError("gone")
    assert Rig(check_health=check_health).hooks.health(error) == health
    assert asked == [error]


@pytest.mark.parametrize("answer", [None, 1, "", Health.COOL_DOWN])
def test_check_health_with_another_answer(answer: Any) -> None:
    """What means nothing is a fault, and does not blame the resource."""
    rig = Rig(check_health=lambda error: answer)
    assert rig.hooks.health(OSError()) is Health.OK
    assert rig.faults == 1
    assert "check_health raised TypeError: check_health must return a bool or a Health" in rig.logger.text("error")


def test_a_policy_decides_about_errors_of_their_own() -> None:
    """It is asked about a task that may run again and whose error the library has not raised itself."""
    assert not Rig().hooks.retryable(OSError(), None, once=False, cancelled=False)
    hooks = Rig(retry=RetryPolicy(retry_on=OSError)).hooks
    assert hooks.retryable(OSError(), None, once=False, cancelled=False)
    assert not hooks.retryable(ValueError(), None, once=False, cancelled=False)
    assert not hooks.retryable(OSError(), None, once=True, cancelled=False)
    assert not hooks.retryable(OSError(), None, once=False, cancelled=True)
    assert not hooks.retryable(OSError(), Verdict.ENDED, once=False, cancelled=False)


def test_a_policy_of_the_task() -> None:
    """It goes before that of the manager, and needs none."""
    own = RetryPolicy(retry_on=ValueError)
    for hooks in (Rig().hooks, Rig(retry=RetryPolicy(retry_on=OSError)).hooks):
        assert hooks.retryable(ValueError(), None, once=False, cancelled=False, policy=own)
        assert not hooks.retryable(OSError(), None, once=False, cancelled=False, policy=own)
        hooks.forked()
        assert not hooks.retryable(ValueError(), None, once=False, cancelled=False, policy=own)


def test_a_policy_that_raises() -> None:
    """It is logged and counted, and the task is not tried again."""

    def broken(error: BaseException) -> bool:
        raise SystemExit("boom")

    rig = Rig(retry=RetryPolicy(retry_on=broken))
    assert not rig.hooks.retryable(OSError(), None, once=False, cancelled=False)
    assert rig.faults == 1
    assert "pool: retry_on raised SystemExit: boom" in rig.logger.text("error")


def test_on_return_resets_a_resource() -> None:
    """It gets the resource; without it there is nothing to do."""
    returned: list[object] = []
    assert Rig().hooks.reset("resource") is True
    assert Rig(on_return=returned.append).hooks.reset("resource") is True
    assert returned == ["resource"]


@pytest.mark.parametrize("fault", [ValueError("boom"), SystemExit("boom")])
def test_on_return_that_raises(fault: BaseException) -> None:
    """It is logged and counted, and the resource is to be replaced."""

    def on_return(resource: object) -> None:
        raise fault

    rig = Rig(on_return=on_return)
    assert rig.hooks.reset("resource") is False
    assert rig.faults == 1
    assert f"pool: on_return raised {type(fault).__name__}: boom" in rig.logger.text("error")


def test_in_a_forked_child() -> None:
    """The resource is the parent's, and nothing there would try a task again."""
    returned: list[object] = []
    hooks = Rig(on_return=returned.append, retry=RetryPolicy(retry_on=OSError)).hooks
    hooks.forked()
    assert hooks.reset("resource") is True
    assert not returned
    assert not hooks.retryable(OSError(), None, once=False, cancelled=False)


class Undecided:
    """An answer that is neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("well")


@pytest.mark.parametrize("fault", [ValueError("boom"), KeyboardInterrupt("boom")])
def test_check_health_that_raises(fault: BaseException) -> None:
    """It is logged and counted, and the resource is not to blame."""

    def check_health(error: BaseException) -> bool:
        raise fault

    rig = Rig(check_health=check_health)
    assert rig.hooks.health(OSError()) is Health.OK
    assert rig.faults == 1
    assert f"pool: check_health raised {type(fault).__name__}: boom" in rig.logger.text("error")


def test_check_health_whose_answer_raises() -> None:
    """It is logged and counted, and the resource is not to blame."""
    rig = Rig(check_health=lambda error: Undecided())
    assert rig.hooks.health(OSError()) is Health.OK
    assert (rig.faults, len(rig.logger.lines)) == (1, 1)


def test_on_quarantine() -> None:
    """What it returns may have to be awaited; without one nothing is called; one that raises is logged and counted."""
    assert Rig().hooks.quarantined(INFO) is None
    assert Rig(quarantine_after=1, on_quarantine=lambda info: [info]).hooks.quarantined(INFO) == [INFO]

    def broken(info: Quarantined) -> None:
        raise SystemExit("boom")

    rig = Rig(quarantine_after=1, on_quarantine=broken)
    assert rig.hooks.quarantined(INFO) is None
    assert rig.faults == 1
    assert "pool: on_quarantine raised SystemExit: boom" in rig.logger.text("error")


def test_without_a_collector() -> None:
    """Nothing is called, nothing is logged."""
    rig = Rig()
    rig.call_all()
    assert (rig.faults, rig.logger.lines) == (0, [])


def test_a_collector_is_notified_once_of_each() -> None:
    """It receives arrivals and retries, and the times of what ended."""
    collector = RecordingCollector()
    Rig(collector=collector).call_all()
    assert (collector.arrivals, collector.retries) == ([None], [None])
    assert (collector.completions, collector.failures) == ([STAMPS], [STAMPS])


@pytest.mark.parametrize("fault", [ValueError("boom"), KeyboardInterrupt("boom")])
def test_a_collector_that_raises(fault: BaseException) -> None:
    """Each fault is logged with the name of the method, and counted, and goes no further."""
    rig = Rig(collector=RaisingCollector(fault))
    rig.call_all()
    assert rig.faults == 4
    methods = ["record_arrival", "record_completion", "record_failure", "record_retry"]
    firsts = [line.splitlines()[0] for _, line in rig.logger.lines]
    assert firsts == [f"pool: collector.{method} raised {type(fault).__name__}: boom" for method in methods]


def test_a_method_without_a_name() -> None:
    """A collector's method may be any callable; the log then says which class of fault it was, at least."""

    class Nameless:
        def __call__(self) -> None:
            raise ValueError("boom")

    collector = RecordingCollector()
    collector.record_retry = Nameless()  # type: ignore[method-assign]
    rig = Rig(collector=collector)
    rig.hooks.retry()
    assert "collector.method raised ValueError: boom" in rig.logger.text("error")
