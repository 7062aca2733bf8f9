"""Managers over child processes, audited afterwards."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support import coroutine_tests
from support.files_between_processes import FileGate, Notes
from support.processes import NOT_HERE, is_running
from support.waiting import WAIT, Call, wait_until
from tasker import AsyncTaskManager, Config, ProcessBackend, TaskManager
from tasker.remote.prefetch import PATIENCE

from . import work
from .programs import Program

TEST_LIMIT = 100.0
HERE = Path(__file__).parent
HOME = os.getpid()
# The fork server of the tests was started before there was this folder; a preload makes another one.
FRESH = {"preload": ("tests_have_no_such_module",)}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, for TEST_LIMIT seconds at most."""
    return coroutine_tests.run(pyfuncitem, TEST_LIMIT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A last limit for each test; none runs where there are no processes."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))
        if NOT_HERE:
            item.add_marker(pytest.mark.skip(reason=NOT_HERE))


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Where the resources of the test write down their lives, and tasks that they started."""
    return Notes(str(tmp_path / "notes"))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FileGate]:
    """A door that opens at the end of the test."""
    door = FileGate(str(tmp_path / "door"))
    yield door
    door.open()


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Callable[[], FileGate]]:
    """More of them."""
    made: list[FileGate] = []

    def another() -> FileGate:
        made.append(FileGate(str(tmp_path / f"door{len(made)}")))
        return made[-1]

    yield another
    for door in made:
        door.open()


@pytest.fixture
def options(notes: Notes) -> Callable[..., Config[Any]]:
    """A Config with children: one worker that can't grow and no pool, unless told otherwise; `process=` for the backend."""
    numbers = itertools.count(1)

    def config(process: dict[str, Any] | None = None, **config: Any) -> Config[Any]:
        if "on_create" not in config and "resource" not in config:
            config["on_create"] = partial(work.make, notes)
            config.setdefault("on_destroy", work.Thing.end)
        workers = config.setdefault("worker_count", 1)
        config.setdefault("max_worker_count", workers)
        config.setdefault("resource_pool_size", 0)
        config.setdefault("name", f"crew{next(numbers)}")
        return Config(backend=ProcessBackend(**process or {}), **config)

    return config


@pytest.fixture
def make(options: Callable[..., Config[Any]], notes: Notes) -> Iterator[Callable[..., Any]]:
    """Makes a TaskManager; at teardown it is killed, its books are checked and its children are gone."""
    made: list[Any] = []

    def manager(**config: Any) -> Any:
        made.append(TaskManager(options(**config)))
        return made[-1]

    yield manager
    for each in made:
        Call(each.kill, 5).outcome(60)
        check_books(each)
    check_gone(notes)


@pytest.fixture
def amake(options: Callable[..., Config[Any]], notes: Notes) -> Iterator[Callable[..., Any]]:
    """Makes an AsyncTaskManager, to be entered, with coroutine functions for hooks."""
    made: list[Any] = []

    def manager(**config: Any) -> Any:
        if "on_create" not in config and "resource" not in config:
            config["on_create"] = partial(work.amake, notes)
            config.setdefault("on_destroy", work.aend)
        made.append(AsyncTaskManager(options(**config)))
        return made[-1]

    yield manager
    for each in made:
        check_books(each)
    check_gone(notes)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A program, whatever is left of which is killed in the end."""
    program = Program(tmp_path)
    yield program
    program.end()


@pytest.fixture(params=[0, 20 * PATIENCE], ids=["at once", "slowly"])
def deadly(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function of a module whose import kills any process but this one: at once, or so late that the parent has taken
    back meanwhile what it had sent."""
    source = f"""
import os, time
with open({str(tmp_path / "imports")!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n")
if os.getpid() != {HOME}:
    time.sleep({request.param})
    os.kill(os.getpid(), 9)

def task(ctx, thing, number):
    return number
"""
    (tmp_path / "deadly_module.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    import deadly_module  # type: ignore[import-not-found]

    yield deadly_module.task
    del sys.modules["deadly_module"]


def check_books(manager: Any) -> None:
    """The ledger of a manager that ended adds up, and nothing is alive."""
    wait_until(lambda: manager.stats().resources.alive == 0, 15, "nothing is alive")
    stats = manager.stats()
    ledger = stats.resources
    assert ledger.created == ledger.destroyed + ledger.lost, ledger
    assert stats.accepted_tasks == stats.done_tasks, stats
    assert stats.abandoned_workers == 0
    assert stats.processes == ()


def check_gone(notes: Notes) -> None:
    """No process that made a resource is alive, and none ended one twice."""
    made = {*notes.numbers("create")}
    wait_until(lambda: not any(map(is_running, made)), WAIT, f"no child is left of {sorted(made)}")
    ended = notes.lines("destroy")
    assert len(ended) == len({*ended}), f"destroyed twice: {ended}"


def gone(pid: int) -> None:
    """Wait until a process is gone."""
    wait_until(lambda: not is_running(pid), WAIT, f"process {pid} is gone")


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """Keeps the fork server for all tests, which otherwise each start one."""
    if NOT_HERE:
        yield
        return
    from tasker.process.parent.fork_server_client import acquire_client, give_back

    client = acquire_client(())
    yield
    give_back((), client)
