"""Tests Ctrl-C that strikes user code which the main thread calls: in a hook, it is taken for an error of that, as docs/errors.md says."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tasker import Config, TaskManager

HOOKS: dict[str, dict[str, Any]] = {
    "on_return": {},
    "on_destroy": {"resource_pool_size": 0},
    "check_resource": {"check_after_idle": 0},
    "check_health": {},
}


def ctrl_c(*args: object) -> bool:
    signal.raise_signal(signal.SIGINT)
    raise AssertionError("the handler of SIGINT has not raised")


def fails(ctx: Any, resource: Any) -> None:
    raise OSError("of the task")


@pytest.fixture(autouse=True)
def _handler_of_python() -> Any:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def manager(**config: Any) -> TaskManager[Any]:
    return TaskManager(
        Config(**{"on_create": object, "worker_count": 1, "max_worker_count": 1, "resource_pool_size": 1, **config})
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_of_run_task(hook: str) -> None:
    """The caller has the outcome of its task, and the resource is ended once."""
    struck: list[int] = []

    def once(*args: object) -> bool:
        if not struck:
            struck.append(1)
            ctrl_c()
        return True

    with manager(**HOOKS[hook], **{hook: once}) as m:
        if hook == "check_health":
            with pytest.raises(OSError, match="of the task"):
                m.run_task(fails)
        else:
            assert m.run_task(lambda ctx, resource: "outcome") == "outcome"
        assert struck
        stats = m.stats()
        assert stats.user_errors + stats.failed_checks == 1
    ledger = m.stats().resources
    assert ledger.created == ledger.destroyed


def test_a_callback_of_a_future_that_is_done() -> None:
    """It is logged and counted, as any error of a callback."""
    with manager() as m:
        future = m.submit(lambda ctx, resource: 1)
        assert future.result(5) == 1
        future.add_done_callback(ctrl_c)
        assert m.stats().user_errors == 1


@pytest.mark.parametrize("place", ["task", "on_create"])
def test_what_the_caller_has_asked_for(place: str) -> None:
    """In the task, and while its resource is made, the caller has the KeyboardInterrupt."""
    armed: list[int] = []

    def create() -> object:
        return ctrl_c() if armed else object()

    def task(ctx: Any, resource: Any) -> Any:
        return ctrl_c()

    with manager(on_create=create, resource_pool_size=0) as m:
        m.queue_task(lambda ctx, resource: None)  # the worker has its resource
        call: Callable[..., Any] = task
        if place == "on_create":
            armed.append(1)
            call = int
        with pytest.raises(KeyboardInterrupt):
            m.run_task(call)
        armed.clear()
        assert m.run_task(lambda ctx, resource: "next") == "next"
