"""Actors that cannot start: the error says why, it is seen in time, and the queue is not blocked by it."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


def test_an_environment_that_hangs(make: Any) -> None:
    """A runtime_env that is never ready is given up after create_timeout, and said in explain()."""
    hangs = {"worker_process_setup_hook": "cluster.work.hang"}
    with make(ray={"runtime_env": hangs}, create_timeout=2, ready_timeout=4) as m:
        begun = time.monotonic()
        with pytest.raises(ResourceError):
            m.queue_task(work.pid)
        assert time.monotonic() - begun < 60
        assert "create_timeout" in str(m.explain())
