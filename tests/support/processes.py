"""The engines over child processes: threaded and asyncio managers, whose tasks and hooks run in children."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from threading import Lock
from typing import Any, ClassVar

import tasker
from support.aio import AsyncioEngine
from support.aio_kit import AsyncKit
from support.engine import Engine
from support.far import Bridge
from support.kit import Body, ThreadKit
from support.resources import ScriptedResources
from support.threaded import ThreadedEngine
from support.waiting import wait_until
from tasker import Context

MISSING = [name for name in ("cloudpickle", "psutil") if find_spec(name) is None]
NOT_HERE = f"ProcessBackend needs {', '.join(MISSING)}" if MISSING else "" if os.name == "posix" else "needs POSIX"
PRELOAD = ("pytest", "cloudpickle", "support.far", "support.aio_kit")
_KILLED = "a child that does not end is killed, so nothing is left behind; tests/processes/test_ending.py"
EXCEPTIONS = {
    "test_point_09_it_does_not_wait_for_tasks_that_ignore_it": _KILLED,
    "test_point_09_an_abandoned_resource_is_destroyed_when_its_task_ends": _KILLED,
    "test_point_09_stop_with_a_timeout_leaves_a_stuck_task_behind": _KILLED,
    "test_promise_7_it_returns_by_its_deadline": _KILLED,
}
"""Tests of the contract that do not apply to processes, each with the reason."""


class AsyncProcessKit(AsyncKit):
    """Coroutine functions that can be sent to a child."""

    def in_turn(self, seconds: float) -> Body:
        turn = Lock()  # across processes, where an asyncio.Lock means nothing

        async def working(ctx: Context, resource: Any, *args: Any) -> Any:
            with turn:
                await ctx.wait_async(seconds)

        return working


class FarKit:
    """A kit whose bodies share what they close over with the test."""

    def __init__(self, kit: Any, bridge: Bridge) -> None:
        self._kit = kit
        self._bridge = bridge

    def __getattr__(self, name: str) -> Any:
        make = getattr(self._kit, name)
        return make if name == "hook" else lambda *args: self._bridge.travels(make(*args))  # hooks are called here


class OverProcesses(Engine):
    """What both engines over processes have in common."""

    flavour: ClassVar[type[ThreadKit]]
    make: ClassVar[str] = "create"
    end: ClassVar[str] = "destroy"

    def __init__(self) -> None:
        super().__init__()
        self.bridge = Bridge()
        self.kit = FarKit(self.flavour(), self.bridge)

    def far_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config with the backend, and hooks that can be sent to a child."""
        if "on_create" not in config and "resource" not in config:
            resources = config.setdefault("resources", None) or ScriptedResources()
            config["resources"] = resources
            config["on_create"] = getattr(resources, self.make)
            config["on_destroy"] = getattr(resources, self.end)
        for name in ("on_create", "on_destroy", "resource"):
            if name in config:
                config[name] = self.bridge.travels(config[name])
        config.setdefault("backend", tasker.ProcessBackend(preload=PRELOAD))
        return config

    def same(self, got: Any, meant: Any) -> bool:
        """Whether `got` is what `meant` became on its way through a child."""
        if isinstance(meant, BaseException):
            return type(got) is type(meant) and got.args == meant.args
        return bool(got == meant)

    def in_the_books(self, raw: Any, resources: ScriptedResources | None, killed: bool) -> bool:
        """A child may be killed between what its hook did and what its manager heard of it."""
        return killed or super().in_the_books(raw, resources, killed)

    def check_books(self, ledger: tasker.ResourceLedger, resources: ScriptedResources | None, killed: bool) -> None:
        """What was killed may be lost, and nothing else."""
        if not killed:
            super().check_books(ledger, resources, killed)
            return
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, ledger
        if resources is not None:
            ended = [one.number for one in resources.destroyed]
            assert len(ended) == len({*ended}), f"destroyed twice: {sorted(ended)}"
            unheard = len(resources.created) - ledger.created
            assert unheard >= 0, ledger
            assert len(resources.alive) <= ledger.lost + unheard, (ledger, resources.alive)

    def check_children(self) -> None:
        """Assert that no child that called is alive."""
        try:
            wait_until(lambda: not self._alive(), 15, f"no child is left: {self._alive()}")
        finally:
            self.bridge.close()

    def _alive(self) -> list[int]:
        return sorted(filter(is_running, self.bridge.pids))


class ProcessEngine(OverProcesses, ThreadedEngine):
    """Makes TaskManagers over child processes, with plain functions."""

    name = "processes"
    flavour = ThreadKit
    exceptions: ClassVar[dict[str, str]] = EXCEPTIONS

    def build(self, **config: Any) -> Any:
        return super().build(**self.far_config(config))

    def audit(self) -> None:
        super().audit()
        self.check_children()


class AsyncProcessEngine(OverProcesses, AsyncioEngine):
    """Makes AsyncTaskManagers over child processes, with coroutine functions."""

    name = "asyncio, processes"
    flavour = AsyncProcessKit
    make = "acreate"
    end = "adestroy"
    pause = 0.0005
    exceptions: ClassVar[dict[str, str]] = {**AsyncioEngine.exceptions, **EXCEPTIONS}

    def manager(self, **config: Any) -> AbstractAsyncContextManager[Any]:
        return super().manager(**self.far_config(config))

    def audit(self) -> None:
        super().audit()
        self.check_children()


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waits to be reaped by somebody else."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
