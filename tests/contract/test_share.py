"""backend.share: a value that is put once where all workers can reach it, and arrives in place of its handle."""

from __future__ import annotations

import asyncio
import copy
import gc
from functools import partial
from typing import Any

import pytest

from support.shareable import SIZE, blob, identity, kept, seen
from support.waiting import POLL, SLOWER
from tasker import TravelError

from .conftest import ENGINES, OVER_PROCESSES

pytestmark = pytest.mark.parametrize(
    "engine", [each for each in ENGINES if each in OVER_PROCESSES], ids=lambda engine: engine.name, indirect=True
)


async def until_kept(m: Any, kit: Any, number: int) -> None:
    """Wait until the worker keeps so many."""
    async with asyncio.timeout(30 * SLOWER):
        while await m.queue_task(kit.calls(kept)) != number:
            gc.collect()
            await asyncio.sleep(POLL)


async def test_it_arrives_as_the_value(engine: Any, kit: Any) -> None:
    """As an argument, inside of one, in a closure, and in run_task; each worker makes it once, from the same memory."""
    with engine.backend().share(blob()) as shared:
        look = kit.calls(seen)
        async with engine.manager(resource_pool_size=1) as m:
            first = await m.queue_task(look, shared)
            assert first[:3] == ("Blob", SIZE, True)
            assert await m.queue_task(look, shared.argument) == first
            assert await m.queue_task(kit.calls(lambda ctx, r, given: id(given["in"][0])), {"in": [shared]}) == first[3]
            assert await m.queue_task(kit.calls(partial(identity, shared))) == first[3]
            assert (await m.run_task(look, shared))[:3] == first[:3]
            assert [each[3] async for each in m.map(look, [shared] * 3)] == [first[3]] * 3


async def test_it_can_be_used_in_hooks(engine: Any, kit: Any) -> None:
    """on_create may refer to a handle."""
    with engine.backend().share({"answer": 42}) as shared:
        config = {"on_create": kit.hook(partial(dict, shared)), "on_destroy": None}
        async with engine.manager(**config) as m:
            assert await m.queue_task(kit.calls(lambda ctx, resource: resource["answer"])) == 42


async def test_it_is_given_back_when_nothing_refers_to_it(engine: Any, kit: Any) -> None:
    """A task that waits refers to it; after the last one, the worker keeps it no longer."""
    gate = engine.gate()
    shared = engine.backend().share(blob())
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        future = await m.submit(kit.calls(seen), shared)
        del shared
        gc.collect()
        gate.open()
        assert (await future.result())[1] == SIZE
        del future
        await until_kept(m, kit, 0)


async def test_a_closed_one(engine: Any, kit: Any) -> None:
    """The workers keep it no longer, and a task that is passed it ends with an error; the worker serves on."""
    backend = engine.backend()
    shared, other = backend.share(blob()), backend.share([1, 2])
    async with engine.manager() as m:
        await m.queue_task(kit.calls(seen), shared)
        assert await m.queue_task(kit.echo(), other) == [1, 2]
        assert await m.queue_task(kit.calls(kept)) == 2
        shared.close()
        shared.close()
        assert shared.closed
        await until_kept(m, kit, 1)
        with pytest.raises(TravelError, match="closed"):
            await m.queue_task(kit.calls(seen), shared)
        assert await m.queue_task(kit.echo(), other) == [1, 2]
        assert m.stats().replaced_workers == 0
    other.close()


async def test_one_that_is_closed_on_the_way(engine: Any, kit: Any) -> None:
    """A task that was pickled before and is read after that ends with an error as well, and leaves nothing behind."""
    shared = engine.backend().share(blob())

    class Closing:
        """Closes the handle behind it, once that is pickled."""

        def __reduce__(self) -> Any:
            shared.close()
            return int, ()

    async with engine.manager() as m:
        late = await m.submit(kit.calls(lambda ctx, resource, *args: None), shared, Closing())
        error = await late.exception()
        # An actor that has never had the value knows nothing of its end: there, it is alive as long as a call refers to it.
        assert error is None or "closed" in str(error)
        assert shared.closed
        assert await m.queue_task(kit.returns(1)) == 1


async def test_a_value_that_can_not_be_shared(engine: Any, kit: Any) -> None:
    """The error names its kind; nothing is left."""
    with pytest.raises(TravelError, match="a generator can't be pickled"):
        engine.backend().share(each for each in ())


async def test_a_handle(engine: Any, kit: Any) -> None:
    """It is not copied, and says what it is."""
    with engine.backend().share(b"x") as shared:
        assert copy.copy(shared) is shared
        assert copy.deepcopy([shared])[0] is shared
        assert repr(shared) == "<Shared: a bytes>"
    assert repr(shared) == "<Shared: a bytes, closed>"
