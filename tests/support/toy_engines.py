"""The engines over the toy backend: what a backend gets without an edit of an engine."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from threading import Lock
from typing import Any, ClassVar

from support.aio import AsyncioEngine
from support.coroutine_kit import CoroutineKit
from support.engine import Engine
from support.function_kit import Body
from support.resources import ScriptedResources
from support.threaded import ThreadedEngine
from support.toy_session import ToyBackend
from tasker import Context, ResourceLedger

_GIVEN_UP = "a session that does not end is given up, and its resource counts as lost"
_ELSEWHERE = "tasks and hooks run in threads that are no workers, so their waits are not known"
EXCEPTIONS = {
    "test_point_16_deadlock": _ELSEWHERE,
    "test_point_16_judged_later": _ELSEWHERE,
    "test_stuck_callbacks": _GIVEN_UP,
    "test_an_abandoned_hostile_task_ends": _GIVEN_UP,
    "test_a_callback_that_raises_is_logged": "the toy prints it, as a child process does",
    "test_point_16_a_hook_that_waits_for_its_own_manager": _ELSEWHERE,
    "test_a_wait_for_the_own_manager_needs_one_of_them": _ELSEWHERE,
    "test_on_destroy_that_ends_its_own_manager": _ELSEWHERE,
    "test_point_09_it_does_not_wait_for_tasks_that_ignore_it": _GIVEN_UP,
    "test_point_09_an_abandoned_resource_is_destroyed_when_its_task_ends": _GIVEN_UP,
    "test_point_09_stop_with_a_timeout_leaves_a_stuck_task_behind": _GIVEN_UP,
    "test_promise_7_it_returns_by_its_deadline": _GIVEN_UP,
}
"""Tests of the contract that do not apply to toys, each with the reason."""


class OverToys(Engine):
    """What both engines over toys have in common."""

    elsewhere = True
    tells_progress = False

    def ledger_is_complete(self, raw: Any, resources: ScriptedResources | None, killed: bool) -> bool:
        """True after a kill: it may strike a session that has made a resource and not yet reported it."""
        return killed or super().ledger_is_complete(raw, resources, killed)

    def check_ledger(self, ledger: ResourceLedger, resources: ScriptedResources | None, killed: bool) -> None:
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


class ToyEngine(OverToys, ThreadedEngine):
    """Makes TaskManagers over toys, with plain functions."""

    name = "toys"
    exceptions: ClassVar[dict[str, str]] = EXCEPTIONS

    def build(self, **config: Any) -> Any:
        config.setdefault("backend", ToyBackend())
        return super().build(**config)


class AsyncToyKit(CoroutineKit):
    """Coroutine functions that can run in several loops."""

    def in_turn(self, seconds: float) -> Body:
        turn = Lock()  # across the loops of several workers; an asyncio.Lock belongs to one

        async def working(ctx: Context, resource: Any, *args: Any) -> Any:
            with turn:
                await ctx.wait_async(seconds)

        return working


class AsyncToyEngine(OverToys, AsyncioEngine):
    """Makes AsyncTaskManagers over toys, with coroutine functions."""

    name = "asyncio, toys"
    kit: Any = AsyncToyKit()
    pause = 0.0005  # without one the loop's thread would keep the GIL from the others
    exceptions: ClassVar[dict[str, str]] = {
        **AsyncioEngine.exceptions,
        **EXCEPTIONS,
        "test_an_error_that_can_not_be_asked": "asyncio asks for it in run_until_complete",
    }

    def manager(self, **config: Any) -> AbstractAsyncContextManager[Any]:
        config.setdefault("backend", ToyBackend())
        return super().manager(**config)
