"""All options of docs/production.md at once, under faults, with an audit at the end. Each scenario comes from its seed.

`TASKER_CHAOS=seed,seed` runs these seeds instead; a seed fixes what is done, not how the threads take turns.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.chaos import AsyncHooks, Broken, Busy, Down, Hooks, Mapped, Script, Step, Transient, atask, judge, task
from support.processes import NOT_HERE, PRELOAD
from support.waiting import Call, eventually, in_thread
from tasker import (
    AsyncTaskManager,
    Config,
    MaxRetriesExceeded,
    NoRetry,
    PausedError,
    PoisonTask,
    Priority,
    ProcessBackend,
    QueueFull,
    ResourceError,
    RetryBudget,
    RetryPolicy,
    ShutdownError,
    Snooze,
    StopReport,
    TaskCancelled,
    TaskHandedBack,
    TaskKilled,
    TaskManager,
    TaskTimeout,
    WorkerLost,
)

ENGINES = ["threads", "asyncio", "processes", "asyncio processes"]
SEEDS = [int(seed) for seed in os.environ.get("TASKER_CHAOS", "1,2,3,4,5").split(",")]
SOAK = float(os.environ.get("TASKER_CHAOS_SECONDS", "120"))
TASKS = 40
GRACE = 0.2
MARGIN = 10.0
"""Seconds that a call may return after its deadline: the machine may be busy."""
PATIENCE = 60.0
CANCELLED = (TaskCancelled, asyncio.CancelledError)
OWN = (ValueError, Transient, NoRetry, Snooze, Broken, Busy, Down)
ENDED = (*OWN, MaxRetriesExceeded, ResourceError, PoisonTask, TaskTimeout, WorkerLost)
OF_CALLERS = (*OWN, *CANCELLED, *ENDED, ShutdownError, QueueFull, PausedError)
KINDS: dict[str, tuple[str, ...]] = {
    "returns": ("return",),
    "waits": ("wait",),
    "fails": ("error",),
    "is transient": ("transient", "transient", "return"),
    "stays transient": ("transient",),
    "breaks": ("broken", "return"),
    "poisons": ("broken",),
    "is busy": ("busy", "busy", "return"),
    "is down": ("down", "return"),
    "snoozes": ("snooze", "snooze", "return"),
    "gives up": ("no retry",),
    "dies": ("die", "return"),
    "keeps dying": ("die",),
    "hangs": ("hang",),
    "is stubborn": ("stubborn",),
}


class Scenario:
    """What one seed does to one engine."""

    def __init__(self, engine: str, seed: int, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.rng = rng = random.Random(f"{engine} {seed}")
        self.what = f"{engine}, seed {seed}"
        self.in_loop = engine.startswith("asyncio")
        self.in_children = engine.endswith("processes")
        self.coroutines = self.in_loop and rng.random() < 0.7
        chances = {where: rng.choice([0.0, 0.05, 0.2]) for where in ("create", "destroy", "return", "check")}
        self.script = Script(str(folder), seed, os.getpid(), chances)
        self.end = rng.choice(["stop", "stop", "stop with a timeout", "hand back", "kill"])
        self.budget = RetryBudget(rng.choice([20, 500]))
        self.futures: list[Any] = []
        self.plans: list[tuple[str, dict[str, Any]]] = []
        self.called: Counter[int] = Counter()
        self.calls: list[Any] = []
        self.once: dict[int, bool] = {}
        self.cancels: set[int] = set()
        self.numbers = iter(range(10**6))

    def config(self) -> Config[Any]:
        """All options, with values that make each of them matter."""
        rng = self.rng
        resets_hang = not self.in_children  # there on_return is a part of the attempt, and has its time
        hooks: Any = (AsyncHooks if self.coroutines else Hooks)(self.script, resets_hang)
        workers = rng.choice([0, 1, 2, 3])
        process = ProcessBackend(
            preload=(*PRELOAD, "support.chaos"), max_tasks=rng.choice([None, 7]), pipeline=rng.random() < 0.7
        )
        return Config(
            name=f"chaos{self.script.seed}",
            on_create=hooks.create,
            on_destroy=hooks.destroy,
            on_return=(on_return := rng.choice([None, hooks.give_back])),
            return_timeout=0.1 if on_return is not None and resets_hang else None,
            check_resource=hooks.check,
            check_after_idle=rng.choice([0.0, 0.01, 1.0]),
            check_interval=rng.choice([None, 0.02]),
            check_timeout=0.1,
            check_health=judge,
            worker_count=workers,
            max_worker_count=max(1, workers) + rng.choice([0, 1, 3]),
            burst_interval=rng.choice([0.005, 0.05]),
            idle_timeout=rng.choice([None, 0.02]),
            resource_pool_size=rng.choice([0, 1]),
            max_retries=rng.choice([1, 3, 6]),
            retry=RetryPolicy(
                backoff=0.01,
                max_backoff=0.05,
                retry_on=(Transient, TaskTimeout),
                max_elapsed=rng.choice([None, 1.0]),
                at_stop=rng.choice(["run", "report"]),
                budget=rng.choice([None, self.budget]),
            ),
            quarantine_after=rng.choice([None, 2]),
            max_queue_size=rng.choice([None, 25]),
            when_unavailable=rng.choice(["wait", "wait", "fail"]),
            ready_timeout=rng.choice([None, 1.0]),
            create_timeout=0.15,
            destroy_timeout=0.15,
            max_stuck_workers=rng.choice([None, 1, 6]),
            task_timeout=2.0,
            task_deadline=rng.choice([None, 3.0]),
            stuck_after=rng.choice([None, 0.1]),
            max_tasks_per_resource=rng.choice([None, 1, 5]),
            max_resource_lifetime=rng.choice([None, 0.05]),
            creation_backoff=0.01,
            restart_intensity=rng.choice([None, (3, 0.5)]),
            cancel_grace=GRACE,
            debug=rng.random() < 0.5,
            backend=process if self.in_children else None,
        )

    async def run(self) -> None:
        """From the construction to the audit."""
        before = threading.active_count(), len(psutil.Process().children(recursive=True))
        manager = await AsyncTaskManager(self.config()) if self.in_loop else TaskManager(self.config())
        try:
            self.script.arm()
            for _ in range(TASKS):
                await self.act(manager)
                self.check_stats(manager)
            report = await self.finish(manager)
        finally:
            self.script.release()
            await self.call(manager.kill, 1.0)
        await self.audit(manager, report)
        await self.check_nothing_is_left(before)

    async def call(self, fn: Any, *args: Any, **options: Any) -> Any:
        """Call a method that may wait, PATIENCE seconds at most."""
        if not self.in_loop:
            return await in_thread(fn, *args, **options)
        try:
            async with asyncio.timeout(PATIENCE):
                return await fn(*args, **options)
        except TimeoutError as error:
            if isinstance(error, TaskTimeout):
                raise
            raise AssertionError(f"{self.what}: {fn.__name__} has not returned in {PATIENCE} s") from error

    # -- what is done -----------------------------------------------------------------------------------------------

    async def act(self, manager: Any) -> None:
        """Submit a task and perhaps do something else."""
        rng = self.rng
        self.submit(manager)
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random() * 0.02)
        if rng.random() < 0.35:
            action = rng.choice([self.hold, self.renew, self.resize, self.cancel, self.run_task, self.map])
            await action(manager)

    def arguments(self) -> tuple[Any, ...]:
        """What a task of random kind is called with, after its number was drawn."""
        number = next(self.numbers)
        kind = self.rng.choice(["returns", "waits", *KINDS])
        steps = tuple(Step(what, self.rng.random() * 0.03) for what in KINDS[kind])
        self.plans.append((kind, {}))
        return self.script, number, steps

    def submit(self, manager: Any) -> None:
        """Submit one task, with random options."""
        rng = self.rng
        script, number, steps = self.arguments()
        options: dict[str, Any] = {"priority": rng.choice(list(Priority)), "once": rng.random() < 0.3, "block": False}
        if steps[0].what in ("hang", "stubborn"):
            options["timeout"] = 0.05
        if rng.random() < 0.2:
            options["deadline"] = rng.random() * 0.3
        if rng.random() < 0.2:
            options["retry"] = RetryPolicy(max_retries=2, retry_on=Transient, backoff=0.02, budget=self.budget)
        self.once[number] = options["once"]
        self.plans[number] = (self.plans[number][0], options)

        def callback(value: Any, error: BaseException | None) -> None:
            self.called[number] += 1  # in one thread at a time: that of callbacks, or the loop

        body = atask if self.coroutines else task
        try:
            future = manager.submit(body, script, number, steps, callback=callback, **options)
        except QueueFull:
            return
        self.futures.append((number, future))

    async def hold(self, manager: Any) -> None:
        """Pause and resume."""
        await self.call(manager.pause, self.rng.choice([0, 0.05]))
        manager.resume()

    async def renew(self, manager: Any) -> None:
        """Refresh, without waiting for it."""
        self.calls.append(("refresh", manager.refresh()))

    async def resize(self, manager: Any) -> None:
        """Another number of workers."""
        workers = self.rng.choice([1, 2, 4])
        manager.resize(worker_count=workers, max_worker_count=workers + self.rng.choice([0, 2]))

    async def cancel(self, manager: Any) -> None:
        """Cancel some task, whatever its state."""
        if self.futures:
            number, future = self.rng.choice(self.futures)
            self.cancels.add(number)
            future.cancel()

    async def run_task(self, manager: Any) -> None:
        """A caller of `run_task`, whose tasks have no limit and so do not hang."""
        number = next(self.numbers)
        self.plans.append(("run_task", {}))
        body = atask if self.coroutines else task
        steps = (Step(self.rng.choice(["return", "wait", "error", "broken", "down", "busy"]), 0.01),)
        self.background("run_task", manager.run_task, body, self.script, number, steps)

    async def map(self, manager: Any) -> None:
        """A caller of `map`."""
        body = Mapped(self.script).arun if self.coroutines else Mapped(self.script).run
        numbers = [next(self.numbers) for _ in range(5)]
        self.plans += [("map", {})] * 5
        if self.in_loop:

            async def read() -> list[int]:
                return [each async for each in manager.map(body, numbers, ordered=self.script.seed % 2 == 0)]

            self.background("map", read)
        else:
            self.background("map", lambda: [*manager.map(body, numbers)])

    def background(self, name: str, fn: Any, *args: Any) -> None:
        """Call something that waits, and look at its outcome in the audit."""
        self.calls.append((name, asyncio.ensure_future(fn(*args)) if self.in_loop else Call(fn, *args)))

    # -- the end ----------------------------------------------------------------------------------------------------

    async def finish(self, manager: Any) -> StopReport:
        """End the manager in the way of this scenario."""
        if self.rng.random() < 0.2:
            await self.call(manager.pause, 0)
        limit = self.rng.choice([0.0, 0.1, 0.5])
        began = time.monotonic()
        if self.end == "kill":
            report = await self.call(manager.kill, limit)
        elif self.end == "stop with a timeout":
            report = await self.call(manager.stop, limit)
        elif self.end == "hand back":
            report = await self.call(manager.stop, limit, hand_back=True)
        else:
            loop = asyncio.get_running_loop()
            released = loop.call_later(self.rng.choice([0.2, 3.0]), self.script.release)
            report = await self.call(manager.stop)
            released.cancel()
            limit = PATIENCE
        took = time.monotonic() - began
        assert took < limit + GRACE + MARGIN, f"{self.what}: {self.end} with {limit} s took {took:.1f} s"
        return report

    # -- the audit --------------------------------------------------------------------------------------------------

    def check_stats(self, manager: Any) -> Any:
        """The sums that hold at every moment."""
        stats = manager.stats()
        sums = (stats.queued_tasks, stats.priority_tasks, stats.running_tasks, stats.done_tasks)
        assert sum(sums) == stats.accepted_tasks, f"{self.what}: {sums} of {stats.accepted_tasks} tasks"
        ledger = stats.resources
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, (self.what, ledger)
        assert min(*sums, ledger.alive, ledger.lost) >= 0, f"{self.what}: {sums}, {ledger}"
        return stats

    async def audit(self, manager: Any, report: StopReport) -> None:
        """Everything that is promised, after the end."""
        await eventually(
            lambda: all(future.done() for _, future in self.futures),
            PATIENCE,
            f"{self.what}: outcomes of {[one for one in self.futures if not one[1].done()]}",
        )
        starts = Counter(self.script.notes.numbers("start"))
        snoozes = Counter(self.script.notes.numbers("snooze"))
        for number, future in self.futures:
            outcome = _outcome(future)
            said = f"{self.what}, {self.end}: task {number} {self.plans[number]}: {outcome!r}, {starts[number]} starts"
            self.check_outcome(number, outcome, said)
            assert not self.once[number] or starts[number] <= 1 + snoozes[number], said
            assert self.called[number] <= 1, said
        await self.check_calls()
        if not report.killed:
            missed = [number for number, _ in self.futures if not self.called[number]]
            await eventually(lambda: not [n for n in missed if not self.called[n]], 10, f"{self.what}: calls {missed}")
        await self.check_resources(manager)
        # Only now: a task that a kill left behind counts as running until its thread returns.
        await eventually(
            lambda: self.check_stats(manager).running_tasks == 0, 20, f"{self.what}, {self.end}: {manager.stats()}"
        )
        stats = self.check_stats(manager)
        assert stats.done_tasks == stats.accepted_tasks, f"{self.what}, {self.end}: {stats}"

    def check_outcome(self, number: int, outcome: Any, said: str) -> None:
        """Whether a task may end like this."""
        cut = self.end != "stop"
        if not isinstance(outcome, BaseException):
            assert outcome == number, said
        elif isinstance(outcome, TaskHandedBack):
            assert self.end == "hand back", said
        elif isinstance(outcome, TaskKilled):
            assert cut, said
        elif isinstance(outcome, CANCELLED):
            assert cut or number in self.cancels, said
        else:
            assert isinstance(outcome, ENDED), said
            if isinstance(outcome, WorkerLost):
                assert self.in_children, said

    async def check_calls(self) -> None:
        """Whether whoever waited has got an answer."""
        for name, call in self.calls:
            said = f"{self.what}, {self.end}: {name}"
            try:
                if isinstance(call, Call):
                    await call.aoutcome()
                elif isinstance(call, asyncio.Future):
                    await asyncio.wait_for(asyncio.shield(call), PATIENCE)
                elif self.in_loop:
                    assert await asyncio.wait_for(call, PATIENCE) in (True, False), said
                else:
                    assert await in_thread(call.result, PATIENCE) in (True, False), said
            except OF_CALLERS:
                assert name != "refresh", said
            except BaseException as error:
                raise AssertionError(f"{said}: {error!r}") from error

    async def check_resources(self, manager: Any) -> None:
        """Whether each was destroyed exactly once, or is accounted for."""
        notes = self.script.notes
        await eventually(lambda: manager.stats().resources.alive == 0, 20, f"{self.what}: {manager.stats().resources}")
        ledger = manager.stats().resources
        ended = Counter(notes.numbers("ended"))
        made = notes.numbers("made")
        assert not [one for one, times in ended.items() if times > 1], (self.what, self.end, ended)
        if self.in_children:  # where one can die between a note and its message
            assert ledger.created <= len(made), (self.what, self.end, ledger, len(made))
            assert ledger.destroyed <= len(ended), (self.what, self.end, ledger, len(ended))
        else:
            # One that is made after a kill has given its worker up is counted when it is destroyed.
            def agree() -> bool:
                now, count = manager.stats().resources, len(notes.numbers("made"))
                return bool(now.created == now.destroyed == count == len(notes.numbers("ended")))

            await eventually(agree, 20, f"{self.what}, {self.end}: {ledger}, {len(made)} made, {len(ended)} ended")

    async def check_nothing_is_left(self, before: tuple[int, int]) -> None:
        """No thread of the manager, and no child but the fork server."""
        name = f"chaos{self.script.seed}"
        self.calls.clear()
        await eventually(lambda: not _threads(name), 20, f"{self.what}: threads {_threads(name)}")
        await eventually(
            lambda: len(psutil.Process().children(recursive=True)) <= before[1], 20, f"{self.what}: children are left"
        )
        await eventually(
            lambda: threading.active_count() <= before[0] + 3,  # asyncio's own executor may have some
            20,
            f"{self.what}: threads {threading.enumerate()}",
        )


def _outcome(future: Any) -> Any:
    try:
        return future.result()
    except BaseException as error:
        return error


def _threads(name: str) -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(name)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """An engine; one fork server serves all scenarios."""
    name: str = request.param
    if not name.endswith("processes"):
        yield name
        return
    if NOT_HERE:
        pytest.skip(NOT_HERE)
    from tasker.process.parent.fork_server_client import acquire_client, give_back

    preload = (*PRELOAD, "support.chaos")
    client = acquire_client(preload)
    try:
        yield name
    finally:
        give_back(preload, client)


@pytest.mark.stress
@pytest.mark.parametrize("seed", SEEDS)
def test_all_pieces_at_once(engine: str, seed: int, tmp_path: Path) -> None:
    """A few scenarios for each engine."""
    asyncio.run(Scenario(engine, seed, tmp_path / "chaos").run())


@pytest.mark.soak
@pytest.mark.timeout(SOAK + 300)
def test_all_pieces_at_once_for_minutes(engine: str, tmp_path: Path) -> None:
    """Random scenarios for TASKER_CHAOS_SECONDS; each prints its seed, to be run again with TASKER_CHAOS."""
    end = time.monotonic() + SOAK
    while time.monotonic() < end:
        seed = random.randrange(10**6)
        print(engine, "seed", seed, flush=True)
        asyncio.run(Scenario(engine, seed, tmp_path / str(seed)).run())
