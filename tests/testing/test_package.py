"""What imports what: nothing of `tasker.testing` comes with `import tasker`, and its plugin brings no engine."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tasker
from tasker import testing

SOURCE = Path(str(tasker.__file__)).parents[1]
ROOT = Path(__file__).parents[2]


def run(program: str) -> str:
    """Returns the output of a program in a fresh interpreter."""
    lines = f"import sys\nsys.path.insert(0, {str(SOURCE)!r})\n{program}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.strip()


def test_import_tasker_does_not_import_it() -> None:
    """Programs do not pay for the tests of others."""
    assert run("import tasker; print([name for name in sys.modules if name.startswith('tasker.testing')])") == "[]"


def test_the_plugin_brings_no_engine() -> None:
    """Nor asyncio, nor the rest of the package: pytest imports it in projects that do not use it."""
    program = """
import pytest
before = set(sys.modules)
import tasker.testing.plugin
new = set(sys.modules) - before
heavy = {"asyncio", "tasker.threads.engine", "tasker.core.engine", "tasker.aio", "tasker.control.supervisor"}
print(sorted(name for name in new if name.startswith("tasker.testing")), heavy & new)
"""
    assert run(program) == "['tasker.testing', 'tasker.testing.plugin'] set()"


def test_it_needs_no_pytest() -> None:
    """Everything but the plugin can be used where pytest is not installed."""
    program = """
sys.modules["pytest"] = None
from tasker.testing import *
from tasker import Config
with InlineTaskManager(Config(on_create=lambda: 1, worker_count=1)) as manager:
    print(manager.queue_task(lambda ctx, resource: resource))
"""
    assert run(program) == "1"


@pytest.mark.parametrize("name", testing.__all__)
def test_public_name(name: str) -> None:
    """Each is there, defined in this package, and documented."""
    value = getattr(testing, name)
    assert value.__module__.startswith("tasker.testing.")
    assert value.__doc__


def test_another_name_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'InlineManager'"):
        _ = testing.InlineManager  # type: ignore[attr-defined]


def test_the_entry_point() -> None:
    """pytest finds the plugin by it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"tasker": "tasker.testing.plugin"}
