"""A run in the middle of which an actor's process, or its node, is killed, in each way of ``ways``: what of it is lost, and when
another process takes over."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.over_ray import ways
from benchmarks.over_ray.cluster import here
from tasker import Context

WORKERS = 2
SECONDS = 0.05
VICTIM = 20
"""The number of the task in which the process dies, the first time."""
PROCESS, NODE = "process", "node"
"""What dies."""
RESTARTED = "actor calls, restarted by Ray"
Row = Sequence[Any]
"""The process in which a task ran, and when it began."""


def dying(number: int, mark: str) -> tuple[int, float]:
    """The work. The name of the mark says what dies. The clock is the same for all processes of a machine."""
    began, path = time.monotonic(), Path(mark)
    if number == VICTIM and not path.exists():
        path.write_text(str(began), encoding="ascii")
        if path.name == NODE:
            os.kill(os.getppid(), signal.SIGKILL)  # the raylet, with which the processes of its node end
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(SECONDS)
    return os.getpid(), began


def task(ctx: Context, resource: object, number: int, mark: str) -> tuple[int, float]:
    """The task of tasker."""
    return dying(number, mark)


class Holder(ways.Holder):
    """The actor of Ray's ways."""

    def dying(self, number: int, mark: str) -> tuple[int, float]:
        return dying(number, mark)


class BatchHolder:
    """The class for Ray Data."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (row,) = [dying(int(number), str(mark)) for number, mark in zip(batch["number"], batch["mark"], strict=True)]
        return {"pid": [row[0]], "began": [row[1]]}


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a run."""

    lost: int
    """Tasks without a result."""
    seconds: float
    """Of the whole run."""
    replaced: float | None
    """Seconds from the death until a process that had done nothing before began a task; None: none did."""


Run = Callable[[int, str, float], list[Row]]
"""Gets the number of tasks, the path of the mark, and the processors of a node that an actor or a task takes."""


def story(run: Run, count: int, what: str = PROCESS, cpus: float = 0) -> Story:
    """Runs as many tasks, of which one kills its process or its node."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / what
        begun = time.monotonic()
        rows = run(count, str(mark), cpus)
        # Ray Data makes its actors within the call, so its run begins with its first task.
        taken = time.monotonic() - max(begun, min(began for _, began in rows))
        died = float(mark.read_text(encoding="ascii"))
    before = {pid for pid, began in rows if began <= died}
    after = [began - died for pid, began in rows if pid not in before]
    return Story(count - len(rows), taken, min(after, default=None))


def tasker(count: int, mark: str, cpus: float) -> list[Row]:
    with ways.manager(WORKERS, cpus, max_retries=3) as pool:
        futures = [pool.submit(task, number, mark) for number in range(count)]
        return [future.result() for future in futures]


def at_once(count: int, mark: str, cpus: float, **options: Any) -> list[Row]:
    with ways.actors(WORKERS, Holder, cpus, **options) as made:
        return answered([made[number % WORKERS].dying.remote(number, mark) for number in range(count)])


def restarted(count: int, mark: str, cpus: float) -> list[Row]:
    return at_once(count, mark, cpus, max_restarts=-1, max_task_retries=-1)


def actor_pool(count: int, mark: str, cpus: float) -> list[Row]:
    from ray.exceptions import RayActorError  # noqa: PLC0415  not for those who have no Ray
    from ray.util import ActorPool  # noqa: PLC0415

    rows = []
    with ways.actors(WORKERS, Holder, cpus) as made:
        pool = ActorPool(made)
        for number in range(count):
            pool.submit(lambda actor, value: actor.dying.remote(value, mark), number)
        while pool.has_next():
            try:
                rows.append(pool.get_next_unordered())
            except RayActorError:
                continue
    return rows


def plain_tasks(count: int, mark: str, cpus: float) -> list[Row]:
    remote = ways.plain_task(WORKERS, dying, cpus)
    return answered([remote(number, mark) for number in range(count)])


def ray_data(count: int, mark: str, cpus: float) -> list[Row]:
    rows = ways.batches([{"number": number, "mark": mark} for number in range(count)], WORKERS, BatchHolder, cpus)
    return [(row["pid"], row["began"]) for row in rows]


def answered(references: list[Any]) -> list[Row]:
    """Returns the results of those calls that have one."""
    ray = here()
    rows = []
    for reference in references:
        with ignoring_deaths():
            rows.append(ray.get(reference))
    return rows


@contextmanager
def ignoring_deaths() -> Iterator[None]:
    """Goes on after what Ray raises for a call whose process has died."""
    from ray.exceptions import NodeDiedError, RayActorError, WorkerCrashedError  # noqa: PLC0415

    try:
        yield
    except (RayActorError, WorkerCrashedError, NodeDiedError):
        pass


ALL: dict[str, tuple[Run, str]] = {
    ways.TASKER: (
        tasker,
        "`max_retries=3`; a task with `once=True` would end with `WorkerLost` instead of a second start",
    ),
    ways.AT_ONCE: (at_once, "Ray's default: an actor is not restarted"),
    RESTARTED: (restarted, "`max_restarts=-1, max_task_retries=-1`, for all tasks alike"),
    ways.POOL: (actor_pool, "errors are caught one by one; with `map_unordered` the first one ends the iteration"),
    ways.PLAIN: (plain_tasks, "no resource that would have to be made again; Ray's default of three retries"),
    ways.DATA: (ray_data, "its own retries"),
}
