"""asyncio: the same no-op coroutine through tasker and through its alternatives."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import Missing, absent
from benchmarks.peers import load as peer
from benchmarks.runner import RATE, Absent, Claim, Contestant, Race, Size, advantage
from benchmarks.work import clock, config, healthy

LIMIT = 16
GROUP, QUEUE, AIOJOBS, AIOMETER = "Semaphore + TaskGroup", "hand-written, asyncio.Queue", "aiojobs", "aiometer"

Work = Callable[[], Coroutine[Any, Any, Any]]
Owned = Callable[[Any, Any], Coroutine[Any, Any, Any]]


async def noop() -> None:
    """Does nothing."""


async def noop_owned(ctx: Any, resource: Any) -> None:
    """Does nothing."""


async def pause() -> None:
    await asyncio.sleep(0)


async def pause_owned(ctx: Any, resource: Any) -> None:
    await asyncio.sleep(0)


def races(size: Size) -> list[Race]:
    return [
        _race(size, "asyncio-noop", "asyncio, no-op tasks", "do nothing", noop, noop_owned, 50_000, claims=True),
        _race(
            size,
            "asyncio-pause",
            "asyncio, tasks that pause",
            "let others run once (`await sleep(0)`)",
            pause,
            pause_owned,
            20_000,
        ),
        _one_after_the_other(size),
    ]


def _one_after_the_other(size: Size) -> Race:
    count = size.count(20_000)
    try:
        _manager()
    except Missing as error:
        ours, gone = [], [Absent("tasker", str(error))]
    else:
        ours, gone = [Contestant("tasker", _run(lambda: tasker_awaited(noop_owned, count)), "`queue_task`")], []
    theirs = Contestant(QUEUE, _run(lambda: workers_awaited(noop, count)), f"{LIMIT} workers, a future for each task")
    return Race(
        key="asyncio-await",
        title="asyncio, no-op tasks, one after the other",
        work=f"{count:,} coroutines that do nothing; one caller awaits each before it submits the next.",
        figures=[RATE],
        contestants=[*ours, theirs],
        rounds=size.rounds(7),
        absent=gone,
        claims=[Claim("asyncio, awaited one by one", f"ahead of {QUEUE}", advantage(QUEUE), at_least=1.0)],
    )


def _race(
    size: Size, key: str, title: str, what: str, work: Work, owned: Owned, tasks: int, claims: bool = False
) -> Race:
    count = size.count(tasks)
    gone = absent("aiojobs", "aiometer")
    runs: dict[str, tuple[Callable[[], Awaitable[float]], str]] = {
        GROUP: (lambda: group(work, count), "a task of the loop for each"),
        QUEUE: (lambda: workers(work, count), f"{LIMIT} workers, a future for each task"),
        AIOJOBS: (lambda: aiojobs(work, count), ""),
        AIOMETER: (lambda: aiometer(work, count), "`run_all`"),
    }
    try:
        _manager()
    except Missing as error:
        gone = [Absent("tasker", str(error)), *gone]
    else:
        runs = {"tasker": (lambda: tasker(owned, count), "")} | runs
    missing = {one.name for one in gone}
    return Race(
        key=key,
        title=f"{title}, {LIMIT} at a time",
        work=f"{count:,} coroutines that {what}; the result of each is retrieved.",
        figures=[RATE],
        contestants=[
            Contestant(name, _run(run), remark) for name, (run, remark) in runs.items() if name not in missing
        ],
        rounds=size.rounds(7),
        absent=gone,
        claims=[
            Claim("asyncio no-op tasks", f"at least 4x {GROUP}", advantage(GROUP), at_least=4.0),
            Claim("asyncio no-op tasks", "ahead of aiojobs", advantage(AIOJOBS), at_least=1.0),
            Claim("asyncio no-op tasks", "ahead of aiometer", advantage(AIOMETER), at_least=1.0),
        ]
        if claims
        else [],
    )


def _run(run: Callable[[], Awaitable[float]]) -> Callable[[], dict[str, float]]:
    async def main() -> dict[str, float]:
        return {"rate": await run()}

    return lambda: asyncio.run(main())


def _manager() -> Any:
    try:
        return importlib.import_module("tasker").AsyncTaskManager
    except (ImportError, AttributeError) as error:
        raise Missing("this tasker has no AsyncTaskManager (yet)") from error


async def _create() -> object:
    return object()


async def _destroy(resource: object) -> None:
    """Does nothing."""


async def tasker(task: Owned, count: int) -> float:
    options = config(LIMIT, on_create=_create, on_destroy=_destroy, check_health=healthy)
    async with _manager()(options) as pool:
        for future in [pool.submit(task) for _ in range(LIMIT)]:
            await future
        submit = pool.submit
        begin = clock()
        futures = [submit(task) for _ in range(count)]
        for future in futures:
            await future
        return count / (clock() - begin)


async def tasker_awaited(task: Owned, count: int) -> float:
    options = config(LIMIT, on_create=_create, on_destroy=_destroy, check_health=healthy)
    async with _manager()(options) as pool:
        for future in [pool.submit(task) for _ in range(LIMIT)]:
            await future
        begin = clock()
        for _ in range(count):
            await pool.queue_task(task)
        return count / (clock() - begin)


async def group(work: Work, count: int) -> float:
    limit = asyncio.Semaphore(LIMIT)

    async def limited() -> Any:
        async with limit:
            return await work()

    begin = clock()
    async with asyncio.TaskGroup() as tasks:
        handles = [tasks.create_task(limited()) for _ in range(count)]
    for handle in handles:
        handle.result()
    return count / (clock() - begin)


Submit = Callable[[], "asyncio.Future[Any]"]


@asynccontextmanager
async def served(work: Work) -> AsyncIterator[Submit]:
    """A hand-written pool; gives what submits one call of `work`."""
    jobs: asyncio.Queue[tuple[Work, asyncio.Future[Any]] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        while (job := await jobs.get()) is not None:
            call, future = job
            try:
                future.set_result(await call())
            except Exception as error:
                future.set_exception(error)

    def submit() -> asyncio.Future[Any]:
        future = loop.create_future()
        jobs.put_nowait((work, future))
        return future

    servers = [asyncio.create_task(serve()) for _ in range(LIMIT)]
    yield submit
    for _ in servers:
        jobs.put_nowait(None)
    await asyncio.gather(*servers)


async def workers(work: Work, count: int) -> float:
    async with served(work) as submit:
        begin = clock()
        futures = [submit() for _ in range(count)]
        for future in futures:
            await future
        return count / (clock() - begin)


async def workers_awaited(work: Work, count: int) -> float:
    async with served(work) as submit:
        await submit()
        begin = clock()
        for _ in range(count):
            await submit()
        return count / (clock() - begin)


async def aiojobs(work: Work, count: int) -> float:
    scheduler = peer("aiojobs").Scheduler(limit=LIMIT, wait_timeout=None)
    begin = clock()
    jobs = [await scheduler.spawn(work()) for _ in range(count)]
    for job in jobs:
        await job.wait()
    rate = count / (clock() - begin)
    await scheduler.close()
    return rate


async def aiometer(work: Work, count: int) -> float:
    library = peer("aiometer")
    begin = clock()
    await library.run_all([work] * count, max_at_once=LIMIT)
    return count / (clock() - begin)
