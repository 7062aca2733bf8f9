"""Managers over actors of one Ray, where it is installed: `make test-ray`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.waiting import wait_until

if os.environ.get("TASKER_TEST_RAY"):
    from support.ray_engines import start_ray

    start_ray()
else:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def limit(request: pytest.FixtureRequest) -> None:
    """A last limit for each test."""
    request.node.add_marker(pytest.mark.timeout(180))


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes a TaskManager over actors; at teardown it is killed, and no actor of it is left."""
    from tasker import Config, RayBackend, TaskManager

    from . import work

    made: list[Any] = []

    def manager(**config: Any) -> Any:
        config.setdefault("on_create", work.Thing)
        config.setdefault("worker_count", 1)
        config.setdefault("max_worker_count", config["worker_count"])
        config.setdefault("resource_pool_size", 0)
        made.append(TaskManager(Config(backend=RayBackend(**config.pop("ray", {})), **config)))
        return made[-1]

    yield manager
    for each in made:
        each.kill(10)
        ledger = each.stats().resources
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, ledger
        assert ledger.alive == 0
    wait_until(lambda: not alive_actors(), 30, "no actor is left")


def alive_actors() -> list[str]:
    """The actors of this process that Ray knows as alive."""
    from ray._private import state

    table = state.actors()
    return [key for key, actor in table.items() if actor["State"] != "DEAD"]
