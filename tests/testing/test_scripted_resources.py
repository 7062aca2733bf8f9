"""ScriptedResources follow their plan, record what became of each resource, and find what is wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import AsyncTaskManager, Config, Context, TaskManager
from tasker.testing import FaultPlan, ManualClock, ScriptedResource, ScriptedResources, hangs, raises, takes


def config_of(resources: ScriptedResources[Any], **options: Any) -> Config[Any]:
    defaults = {"worker_count": 1, "max_worker_count": 1, "resource_pool_size": 0, "creation_backoff": 0.001}
    return Config(on_create=resources.create, on_destroy=resources.destroy, **{**defaults, **options})


def number_of(ctx: Context, resource: ScriptedResource) -> int:
    with resource.use():
        return resource.number


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_immutable_and_says_what_it_does() -> None:
    """Each method returns a further plan, whose text is the code that makes it."""
    base = FaultPlan()
    plan = base.create(3, takes(0.5), raises(OSError("gone"))).destroy(2, hangs()).every_create(takes(0), first=5)
    assert list(base.numbered()) == []
    assert repr(plan) == (
        "FaultPlan().create(3, takes(0.5), raises(OSError('gone'))).destroy(2, hangs()).every_create(takes(0), first=5)"
    )


def test_a_fault_of_its_own_goes_before_those_of_every_call() -> None:
    """The call's own faults count, then the last rule that has begun."""
    own, early, late = takes(1), takes(2), takes(3)
    plan = FaultPlan().every_create(early).every_create(late, first=4).create(range(2, 4), own).create(5)
    assert [plan.faults_of("create", number) for number in range(1, 7)] == [
        (early,),
        (own,),
        (own,),
        (late,),
        (),
        (late,),
    ]
    assert plan.faults_of("destroy", 1) == ()
    every = FaultPlan().every_destroy(own)
    assert every.faults_of("destroy", 7) == (own,)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: FaultPlan().create(0, hangs()), ValueError),
        (lambda: FaultPlan().create(True, hangs()), ValueError),
        (lambda: FaultPlan().destroy("2", hangs()), ValueError),  # type: ignore[arg-type]
        (lambda: FaultPlan().every_destroy(hangs(), first=0), ValueError),
        (lambda: FaultPlan().create(1, OSError("gone")), TypeError),  # type: ignore[arg-type]
        (lambda: FaultPlan().every_create(hangs), TypeError),  # type: ignore[arg-type]
        (lambda: raises("gone"), TypeError),  # type: ignore[arg-type]
        (lambda: takes(-1), ValueError),
        (lambda: takes(True), ValueError),
        (lambda: takes("1"), ValueError),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_plan_is_refused(make: Callable[[], object], error: type[Exception]) -> None:
    """What cannot be carried out is refused when the plan is made."""
    with pytest.raises(error):
        make()


# -- the faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("gone"), OSError, lambda: OSError("gone")])
def test_raises(error: Any) -> None:
    """It takes an error, its type or a function; the call that it strikes raises, and makes nothing."""
    resources = ScriptedResources(FaultPlan().create(2, raises(error)))
    first = resources.create()
    with pytest.raises(OSError):
        resources.create()
    third = resources.create()
    assert (first.number, third.number, resources.created, resources.attempts) == (1, 2, 2, 3)


def test_hangs_until_it_is_released() -> None:
    """The third creation waits for the test; those before and after it do not."""
    hang = hangs()
    resources = ScriptedResources(FaultPlan().create(3, hang))
    with TaskManager(config_of(resources, worker_count=3, max_worker_count=3)) as manager:
        hang.wait_arrived()
        wait_until(lambda: manager.stats().active_workers == 2)
        assert (resources.created, resources.attempts, hang.arrived, hang.released) == (2, 3, 1, False)
        hang.release()
        hang.release()
        wait_until(lambda: manager.stats().active_workers == 3)
    resources.check()
    resources.check_plan()


def test_release_releases_all_that_hangs() -> None:
    """``ScriptedResources.release`` reaches every hang of the plan, those of a rule too."""
    one, other, rule = hangs(), hangs(), hangs()
    resources = ScriptedResources(FaultPlan().create(1, takes(0), one).destroy(1, other).every_create(rule))
    resources.release()
    assert one.released and other.released and rule.released
    resources.destroy(resources.create())


def test_a_hang_that_is_forgotten_ends() -> None:
    """After its patience a hang raises, so that the test ends, and says what was forgotten."""
    resources = ScriptedResources(FaultPlan().create(1, hangs(patience=0.01)))
    with pytest.raises(AssertionError, match="was not released within"):
        resources.create()
    with pytest.raises(AssertionError, match="0 of 1 calls"):
        hangs().wait_arrived(timeout=0.01)


def test_takes_sleeps_or_moves_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seconds can be changed; with a clock, nothing sleeps."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    delay = takes(0.25)
    resources = ScriptedResources(FaultPlan().every_create(delay).every_destroy(takes(2)))
    one = resources.create()
    delay.seconds = 0.5
    resources.create()
    resources.destroy(one)
    assert slept == [0.25, 0.5, 2]
    clock = ManualClock(0)
    virtual = ScriptedResources(FaultPlan().every_create(takes(3)), clock=clock)
    virtual.create()
    assert clock.now() == 3
    assert len(slept) == 3


async def async_faults() -> None:
    hang = hangs()
    plan = FaultPlan().create(1, raises(OSError("gone"))).create(2, hang).destroy(1, takes(0.001)).destroy(2, hang)
    resources = ScriptedResources(plan)
    config: Config[ScriptedResource] = Config(
        on_create=resources.acreate,
        on_destroy=resources.adestroy,
        worker_count=1,
        resource_pool_size=0,
        creation_backoff=0.001,
    )

    async def number_in_loop(ctx: Context, resource: ScriptedResource) -> int:
        with resource.use():
            await asyncio.sleep(0)
            return resource.number

    async with AsyncTaskManager(config) as manager:
        future = manager.submit(number_in_loop)
        await hang.await_arrived()
        assert not future.done()
        hang.release()
        assert await future == 1
    resources.check()
    with pytest.raises(AssertionError, match="not reached: destroy 2; there were 2 creations and 1 destructions"):
        resources.check_plan()
    again = await resources.acreate()
    await resources.adestroy(again)
    resources.check_plan()
    assert resources.attempts == 3

    clock = ManualClock(0)
    virtual = ScriptedResources(FaultPlan().every_create(takes(3)), clock=clock)
    await virtual.acreate()
    assert clock.now() == 3
    late = ScriptedResources(FaultPlan().create(1, hangs(patience=0.01)))
    with pytest.raises(AssertionError, match="was not released"):
        await late.acreate()
    with pytest.raises(AssertionError, match="0 of 2 calls"):
        await hangs().await_arrived(2, timeout=0.01)


def test_the_coroutine_functions_do_the_same() -> None:
    """Errors, hangs and delays strike ``acreate`` and ``adestroy`` without blocking the loop."""
    asyncio.run(async_faults())


def test_a_hang_is_released_after_its_loop_has_ended() -> None:
    """A coroutine that was cancelled, with its loop, does not keep ``release`` from returning."""
    hang = hangs()
    resources = ScriptedResources(FaultPlan().create(1, hang))

    async def main() -> None:
        task = asyncio.create_task(resources.acreate())
        await hang.await_arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    hang.release()
    assert resources.created == 0


# -- the records ------------------------------------------------------------------------------------------------------


def test_what_is_recorded() -> None:
    """Which thread made and destroyed a resource, and how often it was used."""
    resources = ScriptedResources()
    with TaskManager(config_of(resources, name="pool")) as manager:
        assert [manager.queue_task(number_of) for _ in range(3)] == [1, 1, 1]
        (record,) = resources.records
        assert record.alive
        assert resources.alive == (record.resource,)
    assert (record.number, record.created_in, record.destroyed_in) == (1, "pool-1", ["pool-1"])
    assert (record.uses, record.users, record.most_users, record.alive) == (3, 0, 1, False)
    assert (resources.created, resources.destroyed, resources.alive) == (1, 1, ())
    assert repr(resources) == "<ScriptedResources: 1 created, 1 destroyed>"
    resources.check()


def test_two_users_at_once_are_refused() -> None:
    """The second user gets an error, and ``check`` repeats it even if nobody looked at that."""
    resources = ScriptedResources()
    one = resources.create()
    with one.use(), pytest.raises(AssertionError, match="used by 2 users at a time"), one.use():
        pass
    with one.use():
        pass
    resources.destroy(one)
    assert resources.records[0].most_users == 2
    with pytest.raises(AssertionError, match="used by 2 users at a time"):
        resources.check()


def test_use_from_two_threads_is_refused() -> None:
    """The same where the users are threads."""
    resources = ScriptedResources()
    one = resources.create()
    errors: list[str] = []

    def use() -> None:
        try:
            with one.use():
                pass
        except AssertionError as error:
            errors.append(str(error))

    with one.use():
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert errors == ["<resource 1> was used by 2 users at a time"]


def misuse_never_destroyed(resources: ScriptedResources[Any], one: Any) -> None:
    pass


def misuse_destroyed_twice(resources: ScriptedResources[Any], one: Any) -> None:
    resources.destroy(one)
    resources.destroy(one)


def misuse_used_afterwards(resources: ScriptedResources[Any], one: Any) -> None:
    resources.destroy(one)
    with one.use():
        pass


def misuse_destroyed_in_use(resources: ScriptedResources[Any], one: Any) -> None:
    with one.use():
        resources.destroy(one)


def misuse_foreign_destroyed(resources: ScriptedResources[Any], one: Any) -> None:
    resources.destroy(one)
    resources.destroy(object())


def misuse_foreign_used(resources: ScriptedResources[Any], one: Any) -> None:
    resources.destroy(one)
    with resources.using(object()):
        pass


@pytest.mark.parametrize(
    ("misuse", "text"),
    [
        (misuse_never_destroyed, "made in MainThread, was never destroyed"),
        (misuse_destroyed_twice, "was destroyed 2 times"),
        (misuse_used_afterwards, "was used after its destruction in MainThread"),
        (misuse_destroyed_in_use, "was destroyed while it was in use"),
        (misuse_foreign_destroyed, "was destroyed, and was not made here"),
        (misuse_foreign_used, "was used, and was not made here"),
    ],
)
def test_check_finds(misuse: Callable[[ScriptedResources[Any], Any], None], text: str) -> None:
    """``check`` names each fault, even if a manager has swallowed the error that told of it first."""
    resources = ScriptedResources()
    with contextlib.suppress(AssertionError):
        misuse(resources, resources.create())
    with pytest.raises(AssertionError, match=text):
        resources.check()


def test_a_resource_of_the_users() -> None:
    """``make`` gets the number; its resources are known by identity, and ``using`` records their uses."""
    made: list[dict[str, int]] = []

    def make(number: int) -> dict[str, int]:
        made.append({"number": number})
        return made[-1]

    resources = ScriptedResources(make=make)
    one, two = resources.create(), resources.create()
    with resources.using(one) as same:
        assert same is one
        with resources.using(two):
            pass
    assert [record.uses for record in resources.records] == [1, 1]
    resources.destroy(two)
    assert resources.alive == (one,)
    resources.destroy(one)
    resources.check()


def test_make_may_return_the_same_object() -> None:
    """Resources that are one object, such as None, are destroyed as often as they were made."""
    resources = ScriptedResources(make=lambda number: None)
    for _ in range(2):
        resources.create()
    for _ in range(2):
        resources.destroy(None)
    resources.check()
    with pytest.raises(AssertionError, match="destroyed 2 times"):
        resources.destroy(None)


def test_make_that_raises() -> None:
    """The creation raises what ``make`` raises, and nothing was made."""
    resources = ScriptedResources(make=lambda number: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        resources.create()
    resources.check()


def test_destroy_that_raises_counts_once() -> None:
    """A scripted error of ``on_destroy`` is the manager's to log; the resource counts as destroyed, there and here."""
    resources = ScriptedResources(FaultPlan().destroy(1, raises(OSError("gone"))))
    with TaskManager(config_of(resources)) as manager:
        manager.queue_task(number_of)
    assert manager.stats().user_errors == 1
    assert manager.stats().resources.destroyed == 1
    resources.check()
    resources.check_plan()


def test_the_plan_may_be_replaced() -> None:
    """The numbers of the calls go on."""
    resources = ScriptedResources()
    resources.create()
    resources.plan = FaultPlan().create(2, raises(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        resources.create()
