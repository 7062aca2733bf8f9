"""Actors that cannot start: the error says why, it is seen in time, and the queue is not blocked by it."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import ResourceError

from . import work


@pytest.fixture
def only_here(tmp_path: Path) -> Iterator[Any]:
    """A module that this process can import, and an actor cannot."""
    (tmp_path / "only_here.py").write_text("class Thing:\n    pass\n")
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module("only_here")
    sys.path.remove(str(tmp_path))
    del sys.modules["only_here"]


def test_a_resource_whose_class_cannot_be_imported(make: Any, only_here: Any) -> None:
    """The creation fails with the name of the module."""
    with make(on_create=only_here.Thing, when_unavailable="fail") as m:
        with pytest.raises(ResourceError, match="only_here"):
            m.queue_task(work.pid)
        assert "only_here" in str(m.stats().creation_error)


def test_a_node_without_the_library(make: Any, tmp_path: Path) -> None:
    """The class of the actors themselves cannot be imported there: a creation that fails, and no hang."""
    (tmp_path / "tasker").mkdir()
    (tmp_path / "tasker" / "__init__.py").write_text("raise ModuleNotFoundError('this node has no tasker')")
    bare = {"env_vars": {"PYTHONPATH": str(tmp_path)}}
    with (
        make(ray={"runtime_env": bare}, when_unavailable="fail") as m,
        pytest.raises(ResourceError, match="this node has no tasker"),
    ):
        m.queue_task(work.pid)


def test_an_environment_that_hangs(make: Any, tmp_path: Path) -> None:
    """A runtime_env that is not ready is given up after create_timeout, and said in explain(). Once it is ready, tasks run."""
    ready = tmp_path / "ready"
    wait = f"import os, time\nwhile not os.path.exists({str(ready)!r}):\n    time.sleep(0.05)\n"
    (tmp_path / "sitecustomize.py").write_text(wait)  # which a Python runs before all else
    hangs = {"env_vars": {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])}}
    with make(ray={"runtime_env": hangs}, create_timeout=2, ready_timeout=4) as m:
        begun = time.monotonic()
        with pytest.raises(ResourceError, match="create_timeout"):
            m.queue_task(work.pid)
        assert time.monotonic() - begun < 60
        assert "create_timeout" in str(m.explain())
        ready.touch()
        wait_until(lambda: m.stats().active_workers == 1, 60, "an actor has started")
        assert m.queue_task(work.double, 4) == 8
