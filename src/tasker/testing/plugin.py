"""The pytest plugin: the option ``--tasker-leaks``, and fixtures. pytest loads it by its entry point.

Only pytest itself is imported here: what the plugin needs of the library is imported when a test uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.config import Config
    from tasker.threads.future import TaskFuture

    from .clock import ManualClock
    from .inline_manager import InlineTaskManager
    from .leaks import ManagerWatch
    from .records import ScriptedResource
    from .resources import ScriptedResources


class InlineManagerFactory(Protocol):
    """What the fixture ``inline_manager`` is."""

    def __call__(
        self,
        config: Config[Any],
        *,
        clock: ManualClock | None = None,
        order: Callable[[Sequence[TaskFuture[Any]]], TaskFuture[Any]] | None = None,
    ) -> InlineTaskManager[Any]:
        """Makes an ``InlineTaskManager``."""
        ...


_watch = pytest.StashKey["ManagerWatch"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    parser.getgroup("tasker").addoption(
        "--tasker-leaks",
        action="store_true",
        default=False,
        help="fail each test that leaves a tasker manager which was not stopped, whose resources were not all"
        " destroyed, or whose threads still run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Has the hooks below called only where the option is given."""
    if config.getoption("tasker_leaks"):
        config.pluginmanager.register(_LeakHooks(), "tasker-leaks")


class _LeakHooks:
    """Looks after each test for managers that it left, and after each fixture of a wider scope for those of the fixture."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begins to take note of the managers of a test and of its own fixtures."""
        item.stash[_watch] = watch = _new_watch()
        watch.begin()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Looks at them once the fixtures have ended."""
        watch = item.stash[_watch]
        try:
            result = yield
        except Exception as error:
            # A note is shown with it: what was left is often the reason.
            if text := _text_of(watch, item.nodeid):
                error.add_note(text)
            raise
        finally:
            watch.end()
        _check(watch, item.nodeid)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Takes note of the managers of a fixture of a wider scope, and looks at them when that has ended."""
        if fixturedef.scope == "function":
            return (yield)
        watch = _new_watch()
        # The finalizers run in reverse, so this one comes after those that the fixture adds.
        fixturedef.addfinalizer(lambda: _check(watch, f"fixture {fixturedef.argname} ({fixturedef.scope})"))
        watch.begin()
        try:
            return (yield)
        finally:
            watch.end()


def _new_watch() -> ManagerWatch:
    from .leaks import ManagerWatch  # noqa: PLC0415

    return ManagerWatch()


def _check(watch: ManagerWatch, where: str) -> None:
    text = _text_of(watch, where)
    if text:
        pytest.fail(text, pytrace=False)


def _text_of(watch: ManagerWatch, where: str) -> str:
    """Returns what was left behind, and where; empty if nothing was."""
    found = watch.leaks()
    return "\n".join([f"{where} left managers behind:", *found]) if found else ""


@pytest.fixture
def manual_clock() -> ManualClock:
    """A ``ManualClock``."""
    from .clock import ManualClock  # noqa: PLC0415

    return ManualClock()


@pytest.fixture
def scripted_resources() -> Iterator[ScriptedResources[ScriptedResource]]:
    """A ``ScriptedResources`` without faults; set its ``plan`` to have some. At the end of the test, whatever hangs is
    released, and ``check`` is called: each resource was destroyed exactly once."""
    from .resources import ScriptedResources  # noqa: PLC0415

    resources = ScriptedResources()
    yield resources
    resources.release()
    resources.check()


@pytest.fixture
def inline_manager(scripted_resources: ScriptedResources[ScriptedResource]) -> Iterator[InlineManagerFactory]:
    """Makes an ``InlineTaskManager`` for each call with a ``Config``, and the options ``clock`` and ``order``. Those that
    the test has not stopped are killed at its end, which destroys their resources."""
    # After ``scripted_resources``, whichever the test names first: those are checked when the managers have ended.
    from .inline_manager import InlineTaskManager  # noqa: PLC0415

    made: list[InlineTaskManager[Any]] = []

    def make(config: Config[Any], **options: Any) -> InlineTaskManager[Any]:
        manager = InlineTaskManager(config, **options)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.kill()
