"""The engines over child processes: threaded and asyncio managers whose tasks and hooks run in child processes."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from threading import Lock
from typing import Any, ClassVar

import tasker
from support.aio import AsyncioEngine
from support.coroutine_kit import CoroutineKit
from support.engine import Engine
from support.function_kit import Body, FunctionKit
from support.remote_objects import ObjectServer
from support.resources import ScriptedResources
from support.threaded import ThreadedEngine
from support.waiting import wait_until
from tasker import Context

MISSING = [name for name in ("cloudpickle", "psutil") if find_spec(name) is None]
NOT_HERE = f"ProcessBackend needs {', '.join(MISSING)}" if MISSING else "" if os.name == "posix" else "needs POSIX"
PRELOAD = ("pytest", "cloudpickle", "support.remote_objects", "support.coroutine_kit")
_KILLED = "a child process that does not end is killed, so nothing is abandoned; tests/processes/test_ending.py"
_PICKLED = "a task whose attributes raise can't be pickled; tests/processes/test_travel.py"
_NO_MANAGER = "tasks and hooks run in child processes, which have no manager to wait for"
EXCEPTIONS = {
    "test_point_09_it_does_not_wait_for_tasks_that_ignore_it": _KILLED,
    "test_point_09_an_abandoned_resource_is_destroyed_when_its_task_ends": _KILLED,
    "test_point_09_stop_with_a_timeout_leaves_a_stuck_task_behind": _KILLED,
    "test_point_09_the_report_of_a_kill_that_gave_up": "a kill interrupts a child in time; tests/processes/test_interrupted.py",
    "test_promise_7_it_returns_by_its_deadline": _KILLED,
    "test_a_callback_that_raises_is_logged": "the child process prints it on its stderr, which tests/processes/test_output.py is about",
    "test_a_hostile_task_runs": _PICKLED,
    "test_a_hostile_task_is_retried": _PICKLED,
    "test_an_abandoned_hostile_task_ends": _PICKLED,
    "test_point_16_deadlock": _NO_MANAGER,
    "test_point_16_judged_later": _NO_MANAGER,
    "test_point_16_a_hook_that_waits_for_its_own_manager": _NO_MANAGER,
    "test_a_wait_for_the_own_manager_needs_one_of_them": _NO_MANAGER,
    "test_on_destroy_that_ends_its_own_manager": _NO_MANAGER,
}
"""What does not apply to child processes, and the reason."""


class CoroutineProcessKit(CoroutineKit):
    """Makes coroutine functions that can be sent to a child process."""

    def in_turn(self, seconds: float) -> Body:
        turn = Lock()  # which the children share; each would get an asyncio.Lock of its own

        async def working(ctx: Context, resource: Any, *args: Any) -> Any:
            with turn:
                await ctx.wait_async(seconds)

        return working


class RemoteKit:
    """A kit whose bodies share their free variables with the test."""

    def __init__(self, kit: Any, server: ObjectServer) -> None:
        self._kit = kit
        self._server = server

    def __getattr__(self, name: str) -> Any:
        make = getattr(self._kit, name)
        return make if name == "hook" else lambda *args: self._server.for_child(make(*args))  # hooks are called here


class OverProcesses(Engine):
    """What both engines over child processes have in common."""

    pickles = True
    elsewhere = True
    flavour: ClassVar[type[FunctionKit]]
    make: ClassVar[str] = "create"
    end: ClassVar[str] = "destroy"

    def __init__(self) -> None:
        super().__init__()
        self.server = ObjectServer()
        self.kit = RemoteKit(self.flavour(), self.server)

    def config_for_children(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config with the backend, and with hooks that can be sent to a child process."""
        if "on_create" not in config and "resource" not in config:
            resources = config.setdefault("resources", None) or ScriptedResources()
            config["resources"] = resources
            config["on_create"] = getattr(resources, self.make)
            config["on_destroy"] = getattr(resources, self.end)
        for name in ("on_create", "on_destroy", "on_return", "check_resource", "resource"):
            if name in config:
                config[name] = self.server.for_child(config[name])
        config.setdefault("backend", self.backend())
        return config

    def backend(self) -> Any:
        """The options of the backend."""
        return tasker.ProcessBackend(preload=PRELOAD)

    def same(self, got: Any, meant: Any) -> bool:
        """Whether `got` is what `meant` became on its way through a child process."""
        if isinstance(meant, BaseException):
            return type(got) is type(meant) and got.args == meant.args
        return bool(got == meant)

    def ledger_is_complete(self, raw: Any, resources: ScriptedResources | None, killed: bool) -> bool:
        """True after a kill: it may strike a child that has made a resource and not yet reported it."""
        return killed or super().ledger_is_complete(raw, resources, killed)

    def check_ledger(self, ledger: tasker.ResourceLedger, resources: ScriptedResources | None, killed: bool) -> None:
        """Resources may be lost in a kill, and in nothing else."""
        if not killed:
            super().check_ledger(ledger, resources, killed)
            return
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, ledger
        if resources is not None:
            ended = [one.number for one in resources.destroyed]
            assert len(ended) == len({*ended}), f"destroyed twice: {sorted(ended)}"
            unreported = len(resources.created) - ledger.created
            assert unreported >= 0, ledger
            assert len(resources.alive) <= ledger.lost + unreported, (ledger, resources.alive)

    def check_children(self) -> None:
        """Assert that no child process that used the object server is alive."""
        try:
            wait_until(lambda: not self._alive(), 15, f"no child is left: {self._alive()}")
        finally:
            self.server.close()

    def _alive(self) -> list[int]:
        return sorted(filter(is_running, self.server.pids))


class ProcessEngine(OverProcesses, ThreadedEngine):
    """Makes TaskManagers over child processes; tasks and hooks are plain functions."""

    name = "processes"
    flavour = FunctionKit
    exceptions: ClassVar[dict[str, str]] = EXCEPTIONS

    def build(self, **config: Any) -> Any:
        return super().build(**self.config_for_children(config))

    def audit(self) -> None:
        super().audit()
        self.check_children()


class AsyncProcessEngine(OverProcesses, AsyncioEngine):
    """Makes AsyncTaskManagers over child processes; tasks and hooks are coroutine functions."""

    name = "asyncio, processes"
    flavour = CoroutineProcessKit
    make = "acreate"
    end = "adestroy"
    pause = 0.0005
    exceptions: ClassVar[dict[str, str]] = {
        **AsyncioEngine.exceptions,
        **EXCEPTIONS,
        "test_an_error_that_can_not_be_asked": "asyncio asks for it in run_until_complete",
    }

    def manager(self, **config: Any) -> AbstractAsyncContextManager[Any]:
        return super().manager(**self.config_for_children(config))

    def audit(self) -> None:
        super().audit()
        self.check_children()


def is_running(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be reaped by its parent."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
