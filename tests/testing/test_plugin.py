"""The pytest plugin: ``--tasker-leaks`` fails the tests that leave something behind, and there are fixtures."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

pytest_plugins = ["pytester"]
PRELUDE = """
import asyncio, threading
import pytest
from tasker import *
from tasker.testing import *

left = []
config = Config(on_create=lambda: None, worker_count=1, resource_pool_size=0)

def nothing(ctx, resource): ...
"""


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> Any:
    pytester.makepyfile(PRELUDE + textwrap.dedent(code))
    return pytester.runpytest_inprocess("-p", "tasker.testing.plugin", "-p", "no:cacheprovider", *arguments)


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has pytest load no plugin by its entry point: neither this one, a second time, nor others, which take long."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


LEAVES = """
def test_leaves():
    left.append(TaskManager(config))
    left[-1].queue_task(nothing)

def test_leaves_nothing():
    with TaskManager(config) as manager:
        manager.queue_task(nothing)
    async def main():
        async with AsyncTaskManager(config) as manager:
            await manager.submit(nothing)
    asyncio.run(main())

def test_end():
    for manager in left:
        manager.stop()
"""


def test_a_test_that_leaves_a_manager_fails(pytester: pytest.Pytester) -> None:
    """The report names the test, the manager and its numbers; the next tests are not affected."""
    result = run(pytester, LEAVES, "--tasker-leaks")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leaves*",
            "*::test_leaves left managers behind:",
            "TaskManager 'tasker' was not stopped; tasks: 0 queued, 0 running, 1 done; resources: 1 created, 0 d*, 0 lost",
        ]
    )


def test_without_the_option_nothing_is_looked_at(pytester: pytest.Pytester) -> None:
    """And the plugin does not change the run."""
    run(pytester, LEAVES).assert_outcomes(passed=3)


def test_a_manager_of_a_fixture(pytester: pytest.Pytester) -> None:
    """One of the test may live until its teardown; one of a wider scope belongs to the scope, whichever test comes
    first, and is looked at when that ends."""
    result = run(
        pytester,
        """
        @pytest.fixture
        def fine():
            with TaskManager(config) as manager:
                yield manager

        @pytest.fixture(scope="module")
        def wide():
            with TaskManager(config) as manager:
                yield manager

        @pytest.fixture(scope="module")
        def wide_and_left():
            left.append(TaskManager(config))
            return left[-1]

        def test_first(fine, wide):
            fine.queue_task(nothing)
            wide.queue_task(nothing)

        def test_second(wide, wide_and_left):
            wide.queue_task(nothing)

        def test_third():
            left[-1].queue_task(nothing)
        """,
        "--tasker-leaks",
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_third*", "fixture wide_and_left (module) left managers*"])


def test_a_test_that_fails_and_leaves(pytester: pytest.Pytester) -> None:
    """Both are reported; what was left is a note to the error of a setup or teardown."""
    result = run(
        pytester,
        """
        def test_fails():
            left.append(TaskManager(config))
            assert not left

        @pytest.fixture
        def bad():
            yield
            raise OSError("of the teardown")

        def test_bad(bad):
            left.append(TaskManager(config))

        @pytest.fixture
        def worse():
            left.append(TaskManager(config))
            raise OSError("of the setup")

        def test_worse(worse): ...

        @pytest.mark.skip
        def test_skipped(): ...
        """,
        "--tasker-leaks",
    )
    result.assert_outcomes(passed=1, failed=1, errors=4, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_bad*",
            "*OSError: of the teardown*",
            "*::test_bad left managers behind:",
            "*ERROR at setup of test_worse*",
            "*OSError: of the setup*",
            "*ERROR at teardown of test_worse*",
            "*::test_worse left managers behind:",
        ]
    )


FIXTURES = """
def test_scripted(scripted_resources):
    scripted_resources.plan = FaultPlan().create(1, raises(OSError("down"))).create(2, takes(0))
    config = Config(
        on_create=scripted_resources.create, on_destroy=scripted_resources.destroy, worker_count=1,
        resource_pool_size=0, creation_backoff=0.001,
    )
    with TaskManager(config) as manager:
        assert manager.queue_task(lambda ctx, resource: resource.number) == 1
    scripted_resources.check_plan()

@pytest.mark.parametrize("order", ["inline first", "inline last"])
def test_inline(request, order):
    names = ["inline_manager", "scripted_resources", "manual_clock"]
    if order == "inline last":
        names.reverse()
    got = {name: request.getfixturevalue(name) for name in names}
    resources, clock = got["scripted_resources"], got["manual_clock"]
    config = Config(on_create=resources.create, on_destroy=resources.destroy, worker_count=1)
    manager = got["inline_manager"](config, clock=clock)
    assert manager.clock is clock
    manager.queue_task(nothing)
    other = got["inline_manager"](config, order=lambda futures: futures[-1])
    other.submit(nothing)
    assert resources.created == 3

def test_destroyed_too_often(scripted_resources):
    scripted_resources.destroy(scripted_resources.create())
    scripted_resources.create()

def test_hangs(scripted_resources):
    hang = hangs()
    scripted_resources.plan = FaultPlan().create(1, hang)
    thread = threading.Thread(target=lambda: scripted_resources.destroy(scripted_resources.create()))
    thread.start()
    hang.wait_arrived()
    left.append(thread)

def test_end():
    left.pop().join()
"""


@pytest.mark.parametrize("options", [(), ("--tasker-leaks",)], ids=["without", "with"])
def test_fixtures(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    """Inline managers are killed at the end of a test; then the scripted resources are checked, and what hangs is
    released."""
    result = run(pytester, FIXTURES, *options)
    result.assert_outcomes(passed=6, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_destroyed_too_often*", "*was never destroyed*"])


def test_help(pytester: pytest.Pytester) -> None:
    """The option and the fixtures are explained by pytest itself."""
    run(pytester, "", "--help").stdout.fnmatch_lines(["*--tasker-leaks*fail each test that leaves a tasker manager*"])
    result = run(pytester, "", "--fixtures")
    result.stdout.fnmatch_lines(["*fixtures defined from tasker.testing.plugin*"])
    for name in ("inline_manager", "manual_clock", "scripted_resources"):
        result.stdout.fnmatch_lines([f"{name} *"])
