"""The history of an hour, points, groups of failures, events in words."""

from __future__ import annotations

import threading
import tracemalloc
from math import isnan
from typing import Any

import pytest

from tasker import Config, Priority, TaskManager
from tasker.control import notices as say
from tasker.metrics.histogram import Histogram
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import TaskStats
from tasker.watch.failures import MOST_GROUPS, MOST_STORIES, Failures, split
from tasker.watch.history import History, Recorder
from tasker.watch.points import COLUMNS, point
from tasker.watch.reading import PoolReading, read
from tasker.watch.telling import notable
from tasker.watch.watch import PoolWatch

EMPTY = Histogram()


def histogram(*values: float) -> Histogram:
    made = Histogram()
    made.add_all(list(values))
    return made


def reading(at: float, accepted: int = 0, completed: int = 0, failed: int = 0, **stats: int) -> PoolReading:
    metrics = TaskMetrics(total_tasks_completed=completed, total_tasks_failed=failed)
    return PoolReading(at, TaskStats(accepted_tasks=accepted, **stats), metrics, EMPTY, EMPTY)


def test_rates_are_of_the_time_between_two_readings() -> None:
    """Totals become numbers a second, whatever the length of the step."""
    values = dict(zip(COLUMNS, point(reading(10, 5, 2, 1), reading(14, 25, 12, 3)), strict=True))
    assert (values["arrivals"], values["completions"], values["failures"]) == (5, 2.5, 0.5)


def test_waiting_tasks_are_told_apart_by_priority() -> None:
    """Urgent ones are those of high priority, and retries."""
    gate = threading.Event()
    with TaskManager(Config(on_create=object, worker_count=1, max_worker_count=1)) as manager:
        started = threading.Event()
        manager.submit(lambda ctx, resource: (started.set(), gate.wait()))
        started.wait()
        before = read(manager)
        for count, priority in enumerate((Priority.HIGH, Priority.NORMAL, Priority.LOW), 1):
            for _ in range(count):
                manager.submit(lambda ctx, resource: None, priority=priority)
        values = dict(zip(COLUMNS, point(before, read(manager)), strict=True))
        gate.set()
    assert [values[name] for name in ("urgent", "normal", "low", "running")] == [1, 2, 3, 1]


def test_percentiles_are_of_the_step_alone() -> None:
    """What was measured before does not count."""
    before = PoolReading(0, executions=histogram(*[9.0] * 100))
    after = PoolReading(1, executions=histogram(*[9.0] * 100, *[0.1] * 99, 1.0))
    values = dict(zip(COLUMNS, point(before, after), strict=True))
    assert values["run50"] == pytest.approx(0.1, rel=0.03)
    assert values["run99"] == pytest.approx(0.1, rel=0.03)
    assert isnan(values["wait50"])


def test_a_recorder_keeps_the_last_points_in_order() -> None:
    """The ring forgets the oldest ones, and readings that come too early make none."""
    recorder = Recorder(1.0, 3)
    assert recorder.add(reading(0)) is None
    assert recorder.add(reading(0.5)) is None
    assert [recorder.add(reading(at, accepted=at)) is not None for at in (1, 2, 3, 4, 5)] == [True] * 5
    columns = recorder.columns()
    assert (len(recorder), list(columns["at"]), list(columns["arrivals"])) == (3, [3, 4, 5], [1, 1, 1])


def test_an_hour_in_constant_memory() -> None:
    """More than an hour takes what one takes: well under a megabyte, where 20 are allowed."""
    tracemalloc.start()
    try:
        history = History()
        for second in range(3700):
            history.add(reading(second, accepted=second))
        hour = tracemalloc.get_traced_memory()[0]
        for second in range(3700, 4400):
            history.add(reading(second, accepted=second))
        later = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (len(history.fine), len(history.coarse)) == (600, 360)
    assert hour < 1_000_000
    assert later < hour + 50_000


def failed(error: str, task: int = 1, attempts: int = 1, kind: Any = say.TaskFailed, **more: Any) -> Any:
    return kind(float(attempts), f"task #{task} f", task, attempts, "pool-1", error, **more)


def test_failures_are_grouped_by_type_and_first_line() -> None:
    """Numbers in further lines make no group of their own; the last one comes first."""
    failures = Failures()
    for error in ("ValueError: bad\nline 1", "KeyError: 'x'", "ValueError: bad\nline 2"):
        failures.add(failed(error))
    assert [(one.type, one.message, one.count) for one in failures.groups()] == [
        ("ValueError", "bad", 2),
        ("KeyError", "'x'", 1),
    ]
    assert split("OSError") == ("OSError", "")


def test_a_story_has_all_attempts_of_a_task() -> None:
    """Attempts that were followed by another one are told with the last one."""
    failures = Failures()
    failures.add(failed("OSError: gone", kind=say.TaskRetried, pause=0.0))
    failures.add(failed("ValueError: bad", attempts=2))
    bad, gone = failures.groups()
    assert [one.error for one in bad.stories[0].failed] == ["OSError: gone", "ValueError: bad"]
    assert (gone.count, gone.retried, bad.stories[0].attempts) == (0, 1, 2)


def test_groups_and_stories_are_bounded() -> None:
    """A thousand different errors keep the last groups alone."""
    failures = Failures()
    for number in range(1000):
        failures.add(failed(f"ValueError: {number}", task=number))
        failures.add(failed("KeyError: k", task=number))
    groups = failures.groups()
    assert (len(groups), groups[0].count, len(groups[0].stories)) == (MOST_GROUPS, 1000, MOST_STORIES)


@pytest.mark.parametrize(
    ("event", "tone", "words"),
    [
        (say.WorkerReplaced(1, "w", 1, 1, "check", None), "warning", "check_resource"),
        (say.WorkerReplaced(1, "w", 1, 1, "worn", None), "info", "served its time"),
        (say.WorkerFailed(1, "w", 1, 1, "OSError: no"), "bad", "OSError: no"),
        (say.WorkerCrashed(1, "w", 1, 1, "ProcessDied: 9"), "bad", "crashed"),
        (say.WorkerStuck(1, "w", 1, 1, "in f"), "bad", "stuck: in f"),
        (say.WorkerRecovered(1, "w", 1, 1), "good", "serves again"),
        (say.WorkerAbandoned(1, "w", 1, 1), "bad", "abandoned"),
        (say.CreationsFailing(1, 3, "OSError: no", 1.0), "bad", "3 in a row"),
        (say.CreationsRecovered(1, 3), "good", "work again"),
        (say.BreakerChanged(1, "closed", "open"), "warning", "open"),
        (say.BreakerChanged(1, "open", "closed"), "good", "closed"),
        (say.RestartAlarmChanged(1, True, 9, "w"), "bad", "(9)"),
        (say.RestartAlarmChanged(1, False, 9, "w"), "good", "no longer"),
        (say.Paused(1), "warning", "paused"),
        (say.Resumed(1), "good", "resumed"),
        (say.StopBegun(1, False, "asked"), "warning", "stop: asked"),
        (say.StopEnded(1, True), "info", "killed"),
        (failed("PoisonTask: x", kind=say.TaskQuarantined), "bad", "quarantine"),
    ],
)
def test_events_in_words(event: Any, tone: str, words: str) -> None:
    """What people want to know has a tone and says what has happened."""
    told = notable(event)
    assert told is not None
    assert told.tone == tone
    assert words in told.text


@pytest.mark.parametrize(
    "event", [say.WorkerStarted(1, "w", 1, 1), failed("ValueError: x"), say.Scaled(1, "policy", 1, 2, "y")]
)
def test_routine_is_not_told(event: Any) -> None:
    """What has a place of its own, or happens all the time, is left out."""
    assert notable(event) is None


@pytest.mark.parametrize(
    ("error", "group"),
    [
        ("TaskTimeout: task #12 shop.buy has not ended", ("TaskTimeout", "task shop.buy has not ended")),
        ("MaxRetriesExceeded: task #7 failed 4 times", ("MaxRetriesExceeded", "task failed 4 times")),
        ("ValueError: ticket #12 is sold", ("ValueError", "ticket #12 is sold")),
    ],
)
def test_the_number_of_a_task_makes_no_group(error: str, group: tuple[str, str]) -> None:
    """Our own errors name the task; a thousand of one kind are one group all the same."""
    assert split(error) == group


class StandIn:
    """For a manager, which calls its tasks otherwise."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)

    def called(self, text: str) -> str:
        return text.replace(f"{__name__}.", "")


def test_a_stand_in_names_the_tasks() -> None:
    """In the groups and in the stories of those that failed."""
    with TaskManager(
        Config(on_create=object, worker_count=1, max_retries=0, check_health=lambda error: False)
    ) as manager:
        watch = PoolWatch(StandIn(manager))
        manager.submit(fails).exception()
        watch.sample()
        (group,) = watch.failures.groups()
    assert group.message == "max retries exceeded: task fails failed once (max_retries=0), last with ValueError: no"
    assert __name__ not in group.stories[0].task


def fails(ctx: Any, resource: Any) -> None:
    raise ValueError("no")


def test_a_watch_follows_a_manager_to_its_end() -> None:
    """Failures, decisions and the end are seen; a manager that nobody watches any longer has no teller."""
    with TaskManager(Config(name="pool", on_create=object, on_destroy=lambda r: None, worker_count=1)) as manager:
        watch = PoolWatch(manager)
        for _ in range(3):
            assert manager.submit(fails).exception() is not None
        watch.sample()
        assert watch.state == "running"
        assert [one.count for one in watch.failures.groups()] == [3]
        assert watch.decisions[0].target == 1
        assert watch.last.metrics.total_tasks_failed == 3
        manager.pause()
        watch.sample()
        assert watch.state == "paused"
        manager.resume()
    watch.sample()
    assert watch.state == "ended"
    assert watch.notables[-1].text == "stopped"
