"""Config: every default, every check."""

from __future__ import annotations

import dataclasses
import logging
import math
from contextlib import contextmanager
from typing import Any

import pytest

from tasker import Config, ConfigError, Context, TaskerError


def create() -> object:
    """An on_create."""
    return object()


@contextmanager
def factory() -> Any:
    """A resource factory."""
    yield object()


DEFAULTS = {
    "on_destroy": None,
    "resource": None,
    "max_worker_count": 6,
    "burst_interval": 0.1,
    "max_retries": 3,
    "resource_pool_size": 3,
    "max_temporary_resources": None,
    "max_queue_size": None,
    "check_health": None,
    "ctx": None,
    "collector": None,
    "name": "tasker",
    "ready_timeout": None,
    "create_timeout": None,
    "destroy_timeout": None,
    "max_stuck_workers": None,
    "max_tasks_per_resource": None,
    "max_resource_lifetime": None,
    "stuck_after": None,
    "on_return": None,
    "check_resource": None,
    "check_after_idle": 1.0,
    "check_interval": None,
    "check_timeout": 5.0,
    "per_worker": None,
    "retry": None,
    "cancel_grace": 5.0,
    "rate_window": 10.0,
    "target_wait": 0.1,
    "scaling": None,
}


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_default(field: str, value: Any) -> None:
    """Each option has its documented default."""
    assert getattr(Config(on_create=create, worker_count=3), field) == value


def test_default_logger_is_the_librarys_own() -> None:
    """The default logger is logging.getLogger("tasker"), with a NullHandler."""
    assert Config(on_create=create, worker_count=1).logger is logging.getLogger("tasker")
    handlers = logging.getLogger("tasker").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worker_count", -1),
        ("worker_count", 1.5),
        ("worker_count", "4"),
        ("worker_count", None),
        ("max_worker_count", 2),
        ("max_worker_count", 0),
        ("max_worker_count", "9"),
        ("burst_interval", -0.1),
        ("burst_interval", math.nan),
        ("burst_interval", "fast"),
        ("max_retries", -1),
        ("max_retries", 0.5),
        ("resource_pool_size", -1),
        ("resource_pool_size", "2"),
        ("max_temporary_resources", -1),
        ("max_temporary_resources", 1.5),
        ("max_queue_size", 0),
        ("max_queue_size", -5),
        ("max_queue_size", "10"),
        ("ready_timeout", 0),
        ("ready_timeout", -1.0),
        ("ready_timeout", math.nan),
        ("create_timeout", 0),
        ("destroy_timeout", -1.0),
        ("max_stuck_workers", -1),
        ("max_tasks_per_resource", 0),
        ("max_resource_lifetime", 0),
        ("on_return", 3),
        ("cancel_grace", -1),
        ("cancel_grace", math.nan),
        ("rate_window", 0),
        ("target_wait", 0),
        ("rate_window", -1.0),
        ("name", 5),
        ("on_create", 5),
        ("on_destroy", "close"),
        ("check_health", 5),
        ("ctx", "context"),
        ("logger", "tasker"),
        ("collector", "metrics"),
    ],
)
def test_bad_value(field: str, value: Any) -> None:
    """A wrong value raises ConfigError that names the field and the value."""
    options: dict[str, Any] = {"on_create": create, "worker_count": 3, field: value}
    with pytest.raises(ConfigError) as caught:
        Config(**options)
    assert field in str(caught.value)
    assert repr(value) in str(caught.value)


def test_bad_resource_factory() -> None:
    """A resource that can't be called raises ConfigError."""
    with pytest.raises(ConfigError, match="resource"):
        Config(resource=5, worker_count=1)  # type: ignore[arg-type]


def test_config_error_is_a_value_error() -> None:
    """ConfigError can be caught as TaskerError and as ValueError."""
    assert issubclass(ConfigError, TaskerError)
    assert issubclass(ConfigError, ValueError)


def test_some_way_to_make_a_resource_is_required() -> None:
    """Without on_create and resource there is a ConfigError that says so."""
    with pytest.raises(ConfigError, match="on_create"):
        Config(worker_count=1)


def test_worker_count_is_required() -> None:
    """Config without worker_count does not pass."""
    with pytest.raises((ConfigError, TypeError), match="worker_count"):
        Config(on_create=create)  # type: ignore[call-arg]


@pytest.mark.parametrize("other", ["on_create", "on_destroy"])
def test_resource_excludes_the_hooks(other: str) -> None:
    """resource= together with on_create or on_destroy raises ConfigError naming both."""
    options: dict[str, Any] = {"resource": factory, "worker_count": 1, other: create}
    with pytest.raises(ConfigError, match=other) as caught:
        Config(**options)
    assert "resource" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("burst_interval", 0),
        ("max_retries", 0),
        ("resource_pool_size", 0),
        ("max_temporary_resources", 0),
        ("max_queue_size", 1),
        ("max_worker_count", 3),
        ("cancel_grace", 0),
        ("ready_timeout", 1),
        ("create_timeout", 1),
        ("destroy_timeout", 1),
        ("max_stuck_workers", 0),
        ("rate_window", 1),
        ("target_wait", 1),
        ("ctx", Context()),
        ("logger", logging.LoggerAdapter(logging.getLogger("mine"), {})),
    ],
)
def test_edge_value_is_allowed(field: str, value: Any) -> None:
    """The edges of each range are accepted and kept."""
    options: dict[str, Any] = {"on_create": create, "worker_count": 3, field: value}
    assert getattr(Config(**options), field) == value


def test_it_is_frozen() -> None:
    """A field can't be assigned."""
    config = Config(on_create=create, worker_count=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.worker_count = 2  # type: ignore[misc]


def test_it_is_keyword_only() -> None:
    """Positional arguments are refused."""
    with pytest.raises(TypeError):
        Config(create, 1)  # type: ignore[misc, arg-type]


def test_resource_alone_is_enough() -> None:
    """A context-manager factory stands for both hooks."""
    assert Config(resource=factory, worker_count=2).resource is factory
