"""resource=: a context-manager factory stands for on_create and on_destroy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.waiting import eventually
from tasker import ResourceError


class Browsers:
    """Context managers that record how often each was entered and left."""

    def __init__(self, *script: BaseException | None, exit_raises: Any = None) -> None:
        self.entered: list[int] = []
        self.left: list[int] = []
        self.errors: list[Any] = []
        self._script = list(script)
        self._exit_raises = exit_raises

    @contextmanager
    def open(self) -> Iterator[int]:
        """One browser, known by its number."""
        error = self._script.pop(0) if self._script else None
        if error:
            raise error
        number = len(self.entered) + 1
        self.entered.append(number)
        try:
            yield number
        except BaseException as failure:
            self.errors.append(failure)
            raise
        finally:
            self.left.append(number)
            if self._exit_raises:
                raise self._exit_raises


async def test_the_task_gets_what_enter_returned(engine: Any, kit: Any) -> None:
    """The resource is the value of the with statement; leaving happens once, at the end."""
    browsers = Browsers()
    async with engine.manager(resource=browsers.open) as m:
        assert await m.queue_task(kit.resource()) == 1
        assert browsers.left == []
    assert browsers.left == [1]


async def test_exit_is_called_once_for_each(engine: Any, kit: Any) -> None:
    """Workers, pool, temporary and replaced resources are each left exactly once."""
    browsers = Browsers()
    async with engine.manager(
        resource=browsers.open,
        worker_count=2,
        resource_pool_size=1,
        check_health=kit.hook(lambda error: not isinstance(error, OSError)),
    ) as m:
        for _ in range(3):
            await m.queue_task(kit.script(OSError("sick"), "again"))
        with pytest.raises(OSError, match="own"):
            await m.run_task(kit.raises(OSError("own")))
        await m.run_task(kit.returns())
        await eventually(lambda: (m.stats().available_resources, m.stats().active_workers) == (1, 2))
    assert sorted(browsers.left) == browsers.entered
    assert len(browsers.entered) >= 7
    ledger = m.stats().resources
    assert ledger.created == ledger.destroyed == len(browsers.entered)


async def test_an_error_of_a_task_is_not_thrown_into_it(engine: Any, kit: Any) -> None:
    """A failed task does not make the context manager see an exception."""
    browsers = Browsers()
    async with engine.manager(resource=browsers.open) as m:
        with pytest.raises(KeyError):
            await m.queue_task(kit.raises(KeyError()))
        assert await m.queue_task(kit.resource()) == 1
    assert browsers.errors == []


async def test_an_enter_that_raises_is_a_failed_creation(engine: Any, kit: Any) -> None:
    """An __enter__ that raises is retried in a worker, and is a ResourceError of the constructor for the pool."""
    browsers = Browsers(OSError("one"), OSError("two"))
    async with engine.manager(resource=browsers.open) as m:
        assert await m.queue_task(kit.resource()) == 1
    assert browsers.left == [1]
    broken = Browsers(None, OSError("pool"))
    with pytest.raises(ResourceError):
        async with engine.manager(resource=broken.open, resource_pool_size=2):
            pass
    assert broken.left == [1]


async def test_an_enter_that_raises_stop_iteration_is_told(engine: Any, kit: Any) -> None:
    """It is named as any other error is, and neither ends anything silently nor is taken for a fault of the library."""

    class Empty:
        def __enter__(self) -> Any:
            return next(iter(()))

        def __exit__(self, *exc: object) -> None:
            raise AssertionError("it was never entered")

    with pytest.raises(ResourceError, match="StopIteration"):
        async with engine.manager(resource=Empty, resource_pool_size=1):
            pass


async def test_an_exit_that_raises_is_logged_and_counted(engine: Any, kit: Any) -> None:
    """An __exit__ that raises is logged and counted, the manager goes on, and the ledger stays right."""
    browsers = Browsers(exit_raises=OSError("already gone"))
    async with engine.manager(resource=browsers.open) as m:
        await m.queue_task(kit.returns())
        await m.stop()
        assert m.stats().user_errors == 1
        assert m.stats().resources.destroyed == 1
    assert browsers.left == [1]


async def test_a_class_is_a_factory(engine: Any, kit: Any) -> None:
    """A class whose instances are context managers will do."""
    log: list[str] = []

    class Session:
        def __enter__(self) -> Any:
            log.append("enter")
            return self

        def __exit__(self, *exc: object) -> None:
            log.append("exit")

    async with engine.manager(resource=Session) as m:
        assert isinstance(await m.queue_task(kit.resource()), Session)
    assert log == ["enter", "exit"]
