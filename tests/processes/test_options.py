"""ProcessBackend: every default, every check, and what it costs to have it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from support.scripts import run_script
from tasker import Config, ConfigError, ProcessBackend

DEFAULTS = {
    "start_method": "forkserver",
    "preload": (),
    "max_tasks": None,
    "max_age": None,
    "max_rss": None,
    "affinity": None,
    "nice": 0,
    "pipeline": True,
}


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_default(field: str, value: Any) -> None:
    """Each option has its documented default."""
    assert getattr(ProcessBackend(), field) == value


def test_there_are_no_others() -> None:
    """The options are these."""
    assert {field.name for field in dataclasses.fields(ProcessBackend) if field.name != "_"} == set(DEFAULTS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_method", "fork"),
        ("start_method", None),
        ("start_method", 3),
        ("preload", "json"),
        ("preload", 5),
        ("preload", [5]),
        ("max_tasks", 0),
        ("max_tasks", -1),
        ("max_tasks", 1.5),
        ("max_tasks", True),
        ("max_tasks", "3"),
        ("max_age", 0),
        ("max_age", -1.0),
        ("max_age", math.nan),
        ("max_age", math.inf),
        ("max_age", "long"),
        ("max_rss", 0),
        ("max_rss", -5),
        ("max_rss", 1.5),
        ("max_rss", "1G"),
        ("affinity", "0"),
        ("affinity", 0),
        ("affinity", []),
        ("affinity", [-1]),
        ("affinity", ["0"]),
        ("nice", 1.5),
        ("nice", None),
        ("nice", "low"),
        ("pipeline", 1),
        ("pipeline", None),
    ],
)
def test_bad_value(field: str, value: Any) -> None:
    """A wrong value raises ConfigError that names the field."""
    with pytest.raises(ConfigError, match=rf"ProcessBackend\.{field}\b"):
        ProcessBackend(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_method", "spawn"),
        ("preload", ["json", "csv"]),
        ("preload", iter(["json"])),
        ("max_tasks", 1),
        ("max_age", 0.001),
        ("max_age", 5),
        ("max_rss", 1),
        ("affinity", {0}),
        ("affinity", range(1)),
        ("nice", -5),
        ("nice", 19),
        ("pipeline", False),
    ],
)
def test_edge_value_is_allowed(field: str, value: Any) -> None:
    """The edges of each range are accepted."""
    ProcessBackend(**{field: value})


def test_it_is_frozen_and_keyword_only() -> None:
    """No field can be assigned, none given by place."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        ProcessBackend().nice = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        ProcessBackend("spawn")  # type: ignore[misc]


def test_config_takes_a_backend() -> None:
    """None is this process; anything else that is no backend is refused by name."""
    assert Config(on_create=object, worker_count=1).backend is None
    backend = ProcessBackend()
    assert Config(on_create=object, worker_count=1, backend=backend).backend is backend
    for wrong in ("process", ProcessBackend, 5):
        with pytest.raises(ConfigError, match="backend"):
            Config(on_create=object, worker_count=1, backend=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["cloudpickle", "psutil"])
def test_without_the_extra(missing: str) -> None:
    """Who has not installed it is told what to install."""
    done = run_script(
        f"""
        import sys
        sys.modules["{missing}"] = None
        from tasker import Config, ProcessBackend, TaskManager
        try:
            TaskManager(Config(on_create=object, worker_count=1, backend=ProcessBackend())).stop()
        except Exception as error:
            print(type(error).__name__, error)
        """
    )
    assert "tasker-pool[process]" in done.stdout, done.stdout + done.stderr


def test_nothing_is_imported_for_those_who_do_not_need_it() -> None:
    """Neither `import tasker` nor a manager without the backend imports what the extra brings, or multiprocessing."""
    done = run_script(
        """
        import sys
        from tasker import Config, ProcessBackend, TaskManager
        with TaskManager(Config(on_create=object, worker_count=1)) as m:
            m.queue_task(lambda ctx, thing: None)
        print([name for name in ("cloudpickle", "psutil", "multiprocessing") if name in sys.modules])
        """
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
