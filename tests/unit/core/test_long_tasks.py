"""Tasks that run for long are logged once for each attempt."""

from __future__ import annotations

from support.observers import RecordingLogger
from tasker.core.long_tasks import LongTasks
from tasker.logs import GuardedLogger
from unit.core.fakes import FakeTask, FakeWorker


class Started(FakeTask):
    """A task that has started."""

    _started_at = 10.0


def test_each_attempt_once() -> None:
    """Not before its time, once then, and again when it is tried again."""
    logger = RecordingLogger()
    tasks = LongTasks(5.0, GuardedLogger(logger, "pool", lambda: None))
    idle, waiting, worker = FakeWorker("w-0"), FakeWorker("w-1"), FakeWorker("w-2", place="line 3")
    waiting.shard.future = FakeTask()  # not started
    worker.shard.future = task = Started()
    workers = [idle, waiting, worker]
    tasks.look(workers, 14.9)
    assert not logger.lines
    for now in (15.0, 16.0, 99.0):
        tasks.look(workers, now)
    text = "pool: worker w-2 has run task #7 (mod.fn) for 5.0 seconds (stuck_after=5.0); it is at\nline 3"
    assert logger.lines == [("warning", text)]
    task.attempts = 2
    worker.place = ""
    tasks.look(workers, 100.0)
    assert logger.lines[1][1].endswith("it is at\na place that is not known")
    worker.shard.future = None
    tasks.look(workers, 101.0)
    worker.shard.future = task
    tasks.look(workers, 102.0)
    assert len(logger.lines) == 3, "it was not running in between"


def test_a_place_that_comes_later() -> None:
    """It is told with the task; what the worker has left meanwhile is not its place."""
    logger = RecordingLogger()
    tasks = LongTasks(5.0, GuardedLogger(logger, "pool", lambda: None))
    worker = FakeWorker("w-1", shown=[])
    worker.shard.future = Started()
    tasks.look([worker], 20.0)
    assert not logger.lines and worker.shown
    worker.shown[0]("line 5")
    assert logger.lines[0][1].endswith("it is at\nline 5")
    worker.shard.future = None
    worker.shown[0]("line 9")
    assert logger.lines[1][1].endswith("it is at\na place that it has left since")
