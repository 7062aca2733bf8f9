"""How async tests run, and managers of one resource for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import coroutine_tests
from tasker import AsyncTaskManager, Config

TEST_LIMIT = 45.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, for TEST_LIMIT seconds at most."""
    return coroutine_tests.run(pyfuncitem, TEST_LIMIT)


@pytest.fixture
def make() -> Callable[..., Any]:
    """Makes a manager of one worker that can't grow, unless the config says otherwise."""

    def manager(**config: Any) -> Any:
        if "resource" not in config:
            config.setdefault("on_create", object)
        workers = config.setdefault("worker_count", 1)
        config.setdefault("max_worker_count", workers)
        config.setdefault("resource_pool_size", 0)
        return AsyncTaskManager(Config(**config))

    return manager
