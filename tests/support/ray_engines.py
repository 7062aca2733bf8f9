"""The engines over actors of a Ray on this machine, which is started once for all tests."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from support.function_kit import FunctionKit
from support.processes import AsyncProcessEngine, CoroutineProcessKit, ProcessEngine
from tasker.ray.options import RayBackend

HERE = Path(__file__).parents[1]
EXCEPTIONS = {
    "test_more_that_do_not_help": "the calls of many actors on one machine take longer than the tasks wait for each other",
}
"""What does not apply to Ray beyond what does not to child processes, and the reason."""


@cache
def start_ray() -> Any:
    """Start a Ray whose actors find what the tests import."""
    ray = pytest.importorskip("ray")
    source = str(HERE.parent / "src")
    os.environ["PYTHONPATH"] = os.pathsep.join([source, str(HERE), os.environ.get("PYTHONPATH", "")])
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 has actors wait for whatever else runs on the machine
    sys.path[:0] = [] if source in sys.path else [source]
    ray.init(address="local", include_dashboard=False, num_cpus=64, logging_level=logging.ERROR, log_to_driver=False)
    return ray


class RayEngine(ProcessEngine):
    """Makes TaskManagers over actors; tasks and hooks are plain functions."""

    name = "ray"
    flavour = FunctionKit
    exceptions: ClassVar[dict[str, str]] = {**ProcessEngine.exceptions, **EXCEPTIONS}

    def backend(self) -> Any:
        return RayBackend()


class AsyncRayEngine(AsyncProcessEngine):
    """Makes AsyncTaskManagers over actors; tasks and hooks are coroutine functions."""

    name = "asyncio, ray"
    flavour = CoroutineProcessKit
    exceptions: ClassVar[dict[str, str]] = {**AsyncProcessEngine.exceptions, **EXCEPTIONS}

    def backend(self) -> Any:
        return RayBackend()
