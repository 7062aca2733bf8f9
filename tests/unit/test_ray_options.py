"""RayBackend: every default and every check. None needs Ray."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from tasker import ConfigError, RayBackend
from tasker.ray import options

DEFAULTS = {
    "address": None,
    "num_cpus": None,
    "num_gpus": 0.0,
    "resources": None,
    "scheduling_strategy": None,
    "runtime_env": None,
    "namespace": None,
    "max_tasks": None,
    "max_age": None,
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for is installed."""
    monkeypatch.setattr(options, "find_spec", lambda name: object())


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_default(field: str, value: Any) -> None:
    """Each option has its documented default."""
    assert getattr(RayBackend(), field) == value


def test_there_are_no_others() -> None:
    """The options are these, and no task is sent ahead."""
    assert {field.name for field in dataclasses.fields(RayBackend) if field.name != "_"} == set(DEFAULTS)
    assert RayBackend().pipeline is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", ""),
        ("address", 5),
        ("num_cpus", -1),
        ("num_cpus", math.nan),
        ("num_cpus", True),
        ("num_cpus", "2"),
        ("num_gpus", None),
        ("num_gpus", math.inf),
        ("resources", ["slot"]),
        ("resources", {"slot": -1}),
        ("resources", {5: 1}),
        ("runtime_env", "pip"),
        ("namespace", ""),
        ("max_tasks", 0),
        ("max_tasks", True),
        ("max_age", 0),
        ("max_age", math.inf),
    ],
)
def test_wrong_value(field: str, value: Any) -> None:
    """The error names the field and the value."""
    with pytest.raises(ConfigError, match=field):
        RayBackend(**{field: value})


def test_the_ray_client() -> None:
    """Its address is refused, with the reason and what to do instead."""
    with pytest.raises(ConfigError, match=r"address must .* got 'ray://head:10001': .* on a node of the cluster"):
        RayBackend(address="ray://head:10001")


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'tasker-pool\[ray\]'"):
        RayBackend()
