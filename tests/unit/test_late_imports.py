"""Tests that nothing is imported once a manager was made: Ctrl-C that strikes an import may leave the module locked for
ever, and a signal handler in the middle of one finds half a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tasker

SETUP = """
import sys, math
sys.path.insert(0, {source!r})
from tasker import *
late = []
def on_create():
    return "r"
def double(ctx, resource, number):
    ctx.on_cancel(list)
    return 2 * number
def fails(ctx, resource):
    raise ValueError("x")
config = Config(on_create=on_create, worker_count=2, resource_pool_size={pool}, backend={backend}, max_retries=1)
def audit(event, args):
    if late is not None and event == "import":
        late.append(args[0])
"""

THREADS = """
import concurrent.futures
def use():
    manager = TaskManager(config)
    sys.addaudithook(audit)
    first = manager.submit(double, 1)
    manager.stats(), manager.metrics(), manager.explain(), manager.workers(arguments=True)
    manager.pause(0)
    try:
        first.result(0.001)
    except (TimeoutError, concurrent.futures.TimeoutError):
        pass
    manager.resume()
    assert first.result(60) == 2
    assert manager.refresh().result(60)
    assert list(manager.map(double, [1, 2])) == [2, 4]
    assert type(manager.submit(fails).exception(60)) is ValueError
    for worker in manager.workers():
        manager.worker_stack(worker.name)
    manager.stats()
    if {pool}:
        assert manager.run_task(double, 3) == 6
    executor = manager.as_executor()
    assert executor.submit(abs, -4).result(60) == 4
    with manager.events() as events:
        manager.resize(max_worker_count=3)
    manager.submit(double, 1, timeout=60, deadline=60).cancel()
    manager.stop(60, hand_back=True)
    manager.stats(), manager.kill()
use()
"""

ASYNCIO = """
import asyncio
async def use():
    manager = await AsyncTaskManager(config)
    sys.addaudithook(audit)
    first = manager.submit(double, 1)
    manager.stats(), manager.metrics(), manager.explain(), manager.workers(arguments=True)
    await manager.pause(0)
    manager.resume()
    assert await first == 2
    assert await manager.refresh()
    assert [each async for each in manager.map(double, [1, 2])] == [2, 4]
    try:
        await manager.submit(fails)
    except ValueError:
        pass
    for worker in manager.workers():
        manager.worker_stack(worker.name)
    manager.stats()
    if {pool}:
        assert await manager.run_task(double, 3) == 6
    async with manager.events() as events:
        manager.resize(max_worker_count=3)
    manager.submit(double, 1, timeout=60, deadline=60).cancel()
    await manager.stop(60, hand_back=True)
    manager.stats()
    await manager.kill()
asyncio.run(use())
"""


@pytest.mark.parametrize("backend", ["None", "ProcessBackend()"], ids=["here", "processes"])
@pytest.mark.parametrize("face", [THREADS, ASYNCIO], ids=["threads", "asyncio"])
def test_nothing_is_imported_after_the_constructor(face: str, backend: str) -> None:
    """No method of a manager, and no thread of its own, imports anything once the manager is there."""
    source = str(Path(str(tasker.__file__)).parents[1])
    program = (SETUP + face).replace("{source!r}", repr(source)).replace("{backend}", backend)
    program = program.replace("{pool}", "1" if backend == "None" else "0") + "\nfound, late = late, None\nprint(found)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout + done.stderr == "[]\n"
