"""Which functions are asynchronous, and that a manager without a loop refuses them at once."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tasker import Config, ConfigError, TaskManager
from tasker.core.user_functions import forbid_async, is_async, is_awaitable, refuse


async def coroutine(*args: object) -> bool:
    """A coroutine function."""
    return True


class CallsCoroutine:
    """An object whose call is one."""

    async def __call__(self, *args: object) -> bool:
        return True


class Hostile:
    """A proxy that is bound to nothing."""

    def __call__(self) -> None: ...

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("bound to nothing")


@contextlib.asynccontextmanager
async def asynchronous() -> AsyncIterator[object]:
    """A context manager for event loops."""
    yield object()


@contextlib.contextmanager
def synchronous() -> Iterator[object]:
    """A context manager for everybody."""
    yield object()


ASYNC: list[Any] = [
    coroutine,
    functools.partial(coroutine, 1),
    functools.partial(functools.partial(coroutine)),
    CallsCoroutine(),
]


@pytest.mark.parametrize("fn", ASYNC)
def test_is_async(fn: Any) -> None:
    """A coroutine function, through partials, and an object whose __call__ is one."""
    assert is_async(fn)


@pytest.mark.parametrize("fn", [len, lambda: coroutine(), functools.partial(len), object])
def test_is_not_async(fn: Any) -> None:
    """Everything else."""
    assert not is_async(fn)


def test_a_proxy_is_not_async() -> None:
    """An object whose attributes raise is taken for a plain callable."""
    assert not is_async(Hostile())


@pytest.mark.parametrize("field", ["on_create", "on_destroy", "check_health"])
@pytest.mark.parametrize("fn", ASYNC)
def test_a_manager_without_a_loop_refuses_it(field: str, fn: Any) -> None:
    """TaskManager raises at once, names the field, and starts nothing."""
    made: list[object] = []
    options: Any = {"on_create": lambda: made.append(1), field: fn}
    with pytest.raises(ConfigError, match=rf"Config\.{field} is asynchronous: it needs an AsyncTaskManager"):
        TaskManager(Config(worker_count=1, **options))
    assert made == []


def test_a_manager_without_a_loop_refuses_an_asynchronous_context_manager() -> None:
    """So it does for resource=."""
    with pytest.raises(ConfigError, match=r"Config\.resource is asynchronous"):
        TaskManager(Config(worker_count=1, resource=asynchronous))


def test_what_is_plain_passes() -> None:
    """Plain functions and context managers are fine."""
    forbid_async(Config(worker_count=1, resource=synchronous, check_health=lambda error: True))
    forbid_async(Config(worker_count=1, on_create=object, on_destroy=lambda resource: None))


class Gone:
    """A proxy whose object is gone."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise ReferenceError


class Awaitable:
    """What can be awaited."""

    def __await__(self) -> Any:
        yield


class Unawaitable(Awaitable):
    """What can't, though its base can."""

    __await__ = None  # type: ignore[assignment]


def generator() -> Any:
    """A plain generator."""
    yield


@types.coroutine
def old_style() -> Any:
    """A generator that stands for a coroutine."""
    yield


def test_what_is_to_be_awaited() -> None:
    """Coroutines, objects with __await__ and generators that stand for coroutines; a proxy is not asked for its class."""
    started = coroutine()
    assert is_awaitable(started)
    started.close()
    assert is_awaitable(Awaitable())
    assert is_awaitable(old_style())
    assert [is_awaitable(value) for value in (Unawaitable(), Gone(), generator(), None, coroutine)] == [False] * 5


def test_a_coroutine_that_nothing_runs() -> None:
    """It is closed, so that nobody is warned of it, and the error names it."""
    unrun = coroutine()
    with pytest.raises(TypeError, match=r"^coroutine is an async task: it needs an AsyncTaskManager"):
        refuse(unrun)
    assert unrun.cr_frame is None
