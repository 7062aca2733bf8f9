"""Tests what `tasker.control` must not use, what `import tasker` must not load or start, and where public names are
defined."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tasker
from tasker import control

ALLOWED = {
    "functools",
    "itertools",
    "operator",
    "__future__",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "heapq",
    "math",
    "random",
    "typing",
}
BANNED_NAMES = {
    "asyncio",
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "globals",
    "input",
    "logging",
    "open",
    "os",
    "print",
    "queue",
    "sys",
    "threading",
    "time",
    "__import__",
}
CONTROL = Path(str(control.__file__)).parent
SOURCES = sorted(CONTROL.rglob("*.py"))


def violations(source: str, package: str = "tasker.control") -> list[str]:
    """Returns the impure names that a module's source uses, as `line: name`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for what in _imported(node, package) + _used(node):
            found.append(f"{getattr(node, 'lineno', 0)}: {what}")
    return found


def _imported(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [f"import {name.name}" for name in node.names if name.name not in ALLOWED]
    if not isinstance(node, ast.ImportFrom):
        return []
    module = node.module or ""
    if node.level == 1 or (node.level == 0 and f"{module}.".startswith(f"{package}.")):
        return []
    if node.level or module not in ALLOWED:
        return [f"from {'.' * node.level}{module} import"]
    # `from random import choice` hides a call of the module-level random generator.
    names = node.names if module == "random" else []
    return [f"from random import {name.name}" for name in names if name.name != "Random"]


def _used(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and node.id in BANNED_NAMES:
        return [node.id]
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random":
        return [] if node.attr == "Random" else [f"random.{node.attr}"]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("random.Random", "Random"):
        return ["an rng of its own"]
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global):
        return [type(node).__name__]
    return []


def test_there_is_something_to_check() -> None:
    """The test finds the package's modules."""
    names = {path.name for path in SOURCES}
    assert {"supervisor.py", "events.py", "actions.py", "scaling.py"} <= names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_control_is_pure(path: Path) -> None:
    """A module of the control plane imports only pure modules and its own package."""
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import time",
        "import threading as t",
        "import os.path",
        "import collections, logging",
        "from time import monotonic",
        "from ..errors import TaskerError",
        "from ..control import events, actions",
        "from .. import errors",
        "from tasker.errors import TaskerError",
        "from tasker.controls import x",
        "from tasker import control",
        "from random import random",
        "import random\nrandom.random()",
        "import random\nx = random.choice([1])",
        "import random\nx = random.Random(1)",
        "from random import Random\nx = Random()",
        "def f():\n    import socket",
        "def f(t=time.monotonic):\n    return t()",
        "with open('x') as f:\n    pass",
        "print('x')",
        "x = __import__('time')",
        "class A:\n    log = logging.getLogger()",
        "async def f():\n    pass",
        "x = eval('1')",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_ban_catches(planted: str) -> None:
    """The ban finds a planted violation."""
    assert violations(planted)


@pytest.mark.parametrize(
    "fine",
    [
        "from __future__ import annotations",
        "import math, random\ndef f(rng: random.Random) -> float:\n    return rng.random()",
        "from . import events as ev\nfrom .events import Seat\nev.Seat",
        "from tasker.control.events import Seat",
        "from collections.abc import Callable",
        "x.time = 1\nself.open()",
    ],
)
def test_ban_lets_pass(fine: str) -> None:
    """The ban allows pure code."""
    assert violations(fine) == []


def run(program: str) -> str:
    """Returns the output of a program in a fresh interpreter."""
    source = str(Path(str(tasker.__file__)).parents[1])
    lines = f"import sys\nsys.path.insert(0, {source!r})\n{program}"
    command = [sys.executable, "-c", lines]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.strip()


def test_imports_the_standard_library_alone() -> None:
    """`import tasker` loads only itself, without its optional parts, and the standard library."""
    program = """
before = set(sys.modules)
import tasker
new = set(sys.modules) - before
print(sorted({name.partition(".")[0] for name in new} - set(sys.stdlib_module_names)))
print({"rich", "cloudpickle", "psutil", "ray", "multiprocessing", "tasker.cli"} & new)
"""
    assert run(program).splitlines() == ["['tasker']", "set()"]


def test_asyncio_is_loaded_late() -> None:
    """Only a program that uses AsyncTaskManager pays for its import."""
    program = """
import tasker
print("asyncio" in sys.modules, "tasker.aio" in sys.modules)
tasker.AsyncTaskManager
print("asyncio" in sys.modules, "tasker.aio" in sys.modules)
"""
    assert run(program).splitlines() == ["False False", "True True"]


def test_the_engines_are_loaded_late() -> None:
    """`import tasker` loads the faces and the values; what runs a manager comes with the first manager."""
    program = """
import sys
import tasker
late = ("core.counters", "core.engine", "core.ports", "control.events", "control.supervisor", "threads.engine", "threads.waits")
print([name for name in late if f"tasker.{name}" in sys.modules])
"""
    assert run(program) == "[]"


def test_starts_nothing() -> None:
    """`import tasker` starts no thread and registers nothing to be done at exit."""
    program = """
import atexit, threading
before = atexit._ncallbacks()
import concurrent.futures.thread
import logging
before = atexit._ncallbacks()
import tasker
print(threading.active_count(), atexit._ncallbacks() - before)
"""
    assert run(program) == "1 0"


def test_logger_has_a_null_handler() -> None:
    """The library logs nothing while logging is not configured."""
    assert run("import tasker, logging\nlogging.getLogger('tasker').error('x')") == ""


def modules() -> list[ModuleType]:
    """Returns every module except those whose extras may be missing."""
    names = [info.name for info in pkgutil.walk_packages(tasker.__path__, "tasker.", onerror=lambda name: None)]
    extras = ("tasker.cli", "tasker.__main__", "tasker.dashboard", "tasker.exporters", "tasker.live")
    core = [name for name in names if not name.startswith(extras)]
    return [importlib.import_module(name) for name in core]


def test_public_names_are_listed() -> None:
    """`__all__` lists exactly the names of `tasker` without an underscore, once and in order."""
    shown = {
        name
        for name, value in vars(tasker).items()
        # Submodules are attributes too.
        if not (name.startswith("_") or isinstance(value, ModuleType))
    }
    assert sorted(tasker.__all__) == sorted(set(tasker.__all__))
    # These are loaded on demand: asyncio takes longer to import than all the rest, and few programs share values.
    assert set(tasker.__all__) == shown | {"AsyncTaskFuture", "AsyncTaskManager", "Shared"}


def test_public_names_have_one_public_module() -> None:
    """No other module of the package lists a public name in its `__all__`."""
    others = {
        (module.__name__, name)
        for module in modules()
        for name in getattr(module, "__all__", ())
        if name in tasker.__all__
    }
    assert others == set()


@pytest.mark.parametrize("name", tasker.__all__)
def test_public_name(name: str) -> None:
    """A public name is defined in one module of the package and documented."""
    value = getattr(tasker, name)
    homes = [
        module.__name__
        for module in modules()
        if vars(module).get(name) is value and value.__module__ == module.__name__
    ]
    assert homes == [value.__module__]
    assert value.__doc__
