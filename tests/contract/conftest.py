"""The engines under test, their audit after each test, and how async tests run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from support import coroutine_tests
from support.aio import AsyncioEngine, AsyncioThreadsEngine, LentAsyncioEngine
from support.engine import Engine
from support.processes import NOT_HERE, PRELOAD, AsyncProcessEngine, ProcessEngine
from support.threaded import ThreadedEngine
from support.toy_engines import AsyncToyEngine, ToyEngine
from support.waiting import SLOWER

OVER_PROCESSES: list[type[Engine]] = [ProcessEngine, AsyncProcessEngine]
OVER_TOYS: list[type[Engine]] = [ToyEngine, AsyncToyEngine]
"""A backend of the tests' own: what an engine needs no edit for."""
ENGINES: list[type[Engine]] = [
    ThreadedEngine,
    AsyncioEngine,
    LentAsyncioEngine,
    AsyncioThreadsEngine,
    *OVER_PROCESSES,
    *OVER_TOYS,
]
if os.environ.get("TASKER_TEST_RAY"):  # `make test-ray`: it takes long, and what it needs is large
    from support.ray_engines import AsyncRayEngine, RayEngine, start_ray

    start_ray()  # in this thread: when the one that has started it ends, so does Ray

    OVER_PROCESSES += [RayEngine, AsyncRayEngine]
    ENGINES = [RayEngine, AsyncRayEngine]
TEST_LIMIT = 110.0 * SLOWER


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, for TEST_LIMIT seconds at most."""
    return coroutine_tests.run(pyfuncitem, TEST_LIMIT)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test a time limit, in case a call blocks that must not."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180 * SLOWER))


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The engine under test; at teardown every manager it made is audited for leaks."""
    reason = request.param.exception(request.module.__name__, request.function.__name__)
    if request.param in OVER_PROCESSES:
        reason = NOT_HERE or reason
    if reason:
        pytest.skip(reason)
    engine = request.param()
    yield engine
    engine.audit()


@pytest.fixture
def kit(engine: Any) -> Any:
    """Makes task bodies of the kind that the engine runs."""
    return engine.kit


@pytest.fixture
def threads() -> Iterator[ThreadedEngine]:
    """The threaded engine, for tests that are plain functions."""
    engine = ThreadedEngine()
    yield engine
    engine.audit()


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """Keep one fork server for all tests; otherwise each test would start its own."""
    if NOT_HERE:
        yield
        return
    from tasker.process.parent.fork_server_client import acquire_client, give_back

    client = acquire_client(PRELOAD)
    yield
    give_back(PRELOAD, client)
