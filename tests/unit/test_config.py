"""Tests every default and every check of Config; each message names the field, the value and what is allowed."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from typing import Any

import pytest

from tasker import Config, ConfigError, Context, TaskMetrics
from tasker.control.scaling import RatePolicy
from tasker.control.view import Plan
from tasker.core.planning import plan_of


def config(**changes: Any) -> Config[Any]:
    """Makes a valid configuration with changes."""
    return Config(**{"worker_count": 3, "on_create": object, **changes})


DEFAULTS = {
    "worker_count": 3,
    "on_create": object,
    "on_destroy": None,
    "on_return": None,
    "check_resource": None,
    "check_after_idle": 1.0,
    "check_interval": None,
    "check_timeout": 5.0,
    "return_timeout": None,
    "per_worker": None,
    "retry": None,
    "quarantine_after": None,
    "on_quarantine": None,
    "resource": None,
    "ctx": None,
    "check_health": None,
    "max_worker_count": 6,
    "burst_interval": 0.1,
    "max_retries": 3,
    "resource_pool_size": 3,
    "max_temporary_resources": None,
    "max_queue_size": None,
    "logger": logging.getLogger("tasker"),
    "collector": None,
    "name": "tasker",
    "ready_timeout": None,
    "when_unavailable": "wait",
    "creation_timeout": None,
    "create_timeout": None,
    "destroy_timeout": None,
    "max_stuck_workers": None,
    "max_tasks_per_resource": None,
    "max_resource_lifetime": None,
    "task_timeout": None,
    "task_deadline": None,
    "stuck_after": None,
    "creation_backoff": 0.1,
    "restart_intensity": None,
    "cancel_grace": 5.0,
    "rate_window": 10.0,
    "target_wait": 0.1,
    "scaling": None,
    "max_memory": None,
    "idle_timeout": None,
    "sync_in_thread": True,
    "slow_callback": 0.1,
    "backend": None,
    "debug": False,
}


def test_defaults() -> None:
    """Every field has its documented default, and there are no other fields."""
    made = config()
    assert {field.name: getattr(made, field.name) for field in dataclasses.fields(made)} == DEFAULTS
    assert (made.most_workers, made.pool_size) == (6, 3)


def test_plan() -> None:
    """What the control plane decides on follows from the configuration."""
    assert plan_of(config()) == Plan(3, 6, max_stuck_workers=6, has_pool=True)
    off = config(
        burst_interval=0, ready_timeout=2.0, max_stuck_workers=1, creation_backoff=0.5, max_retries=0, target_wait=0.5
    )
    expected = Plan(
        3,
        6,
        max_retries=0,
        scales=False,
        ready_timeout=2.0,
        max_stuck_workers=1,
        creation_backoff=0.5,
        target_wait=0.5,
        has_pool=True,
    )
    assert plan_of(off) == expected
    assert plan_of(config(when_unavailable="fail")).fails_fast
    assert plan_of(config(restart_intensity=(3, 60))).restart_intensity == (3, 60)
    policy = RatePolicy(hold=9.0)
    assert plan_of(config(scaling=policy)).policy is policy


def test_frozen_and_keyword_only() -> None:
    """A configuration is immutable, and its options are given by name."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().worker_count = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Config(3, object)  # type: ignore[misc]
    with pytest.raises(TypeError, match="worker_count"):
        Config(on_create=object)  # type: ignore[call-arg]


NOT_INTEGERS = [1.0, "1", True, False, math.nan, [1]]
NOT_DURATIONS = ["1", True, math.nan, math.inf, -math.inf, -0.001, [1], 10**400]
COLLECTOR = (
    "record_arrival",
    "record_completion",
    "record_failure",
    "record_retry",
    "metrics",
)
BAD: dict[str, tuple[list[Any], str]] = {
    "worker_count": ([-1, None, *NOT_INTEGERS], "an integer of at least 0"),
    "max_worker_count": ([2, 0, -1, *NOT_INTEGERS], "an integer of at least 3 (worker_count)"),
    "max_retries": ([-1, None, *NOT_INTEGERS], "an integer of at least 0"),
    "resource_pool_size": ([-1, *NOT_INTEGERS], "an integer of at least 0"),
    "max_temporary_resources": ([-1, *NOT_INTEGERS], "an integer of at least 0 or None"),
    "max_queue_size": ([0, -1, *NOT_INTEGERS], "a positive integer or None"),
    "burst_interval": ([None, *NOT_DURATIONS], "a finite number of seconds, at least 0"),
    "check_after_idle": ([None, *NOT_DURATIONS], "a finite number of seconds, at least 0"),
    "cancel_grace": ([None, *NOT_DURATIONS], "a finite number of seconds, at least 0"),
    "slow_callback": ([None, *NOT_DURATIONS], "a finite number of seconds, at least 0"),
    "debug": ([None, 0, 1, "yes"], "True or False"),
    "sync_in_thread": ([None, 0, 1, "yes"], "True or False"),
    "target_wait": ([None, 0, 0.0, *NOT_DURATIONS], "a finite number of seconds, more than 0"),
    "rate_window": ([None, 0, 0.0, *NOT_DURATIONS], "a finite number of seconds, more than 0"),
    "creation_backoff": ([None, 0, *NOT_DURATIONS], "a finite number of seconds, more than 0"),
    **dict.fromkeys(
        (
            "ready_timeout",
            "create_timeout",
            "destroy_timeout",
            "check_interval",
            "check_timeout",
            "return_timeout",
            "task_timeout",
            "task_deadline",
            "max_resource_lifetime",
            "idle_timeout",
            "stuck_after",
        ),
        ([0, 0.0, *NOT_DURATIONS], "a finite number of seconds, more than 0 (or None)"),
    ),
    "creation_timeout": ([0, 0.0, *NOT_DURATIONS], "a finite number of seconds, more than 0"),
    "max_tasks_per_resource": ([0, -1, 1.5, "1", True], "a positive integer or None"),
    "max_stuck_workers": ([-1, 1.5, "1", True], "an integer of at least 0 or None"),
    "on_destroy": ([1, "x"], "callable"),
    "on_return": ([1, "x"], "callable"),
    "check_resource": ([1, "x"], "callable"),
    "retry": ([3, object()], "a RetryPolicy or None"),
    "quarantine_after": ([0, -1, *NOT_INTEGERS], "a positive integer or None"),
    "on_quarantine": ([1, "x"], "callable"),
    "per_worker": (["abcdef", 3, {1}], "a sequence of values, or None"),
    "check_health": ([1, "x"], "callable"),
    "ctx": ([1, object()], "a tasker.Context or None"),
    "name": (["", None, 1, b"x"], "a non-empty string"),
    "logger": ([None, object()], "a Logger (it lacks debug, info, warning, error)"),
    "collector": (
        [object(), 1],
        f"a MetricsCollector (it lacks {', '.join(COLLECTOR)})",
    ),
    "backend": (["process", 1, object()], "a backend (such as ProcessBackend()) or None"),
    "restart_intensity": (
        [3, (3,), [3, 1.0], (0, 1.0), (1.5, 1.0), (True, 1.0), (3, 0), (3, -1.0), (3, math.inf), (3, True), (3, "1")],
        "(n, seconds), a positive integer and a finite number of seconds, more than 0, or None",
    ),
    "when_unavailable": (["raise", None, True, 1], "'wait' or 'fail'"),
    "max_memory": ([0, 0.0, -0.5, 1.1, 90, True, "90%", float("nan")], "a number, more than 0 and at most 1, or None"),
    "scaling": ([object(), lambda snapshot, now: None], "a ScalingPolicy (it lacks decide)"),
}


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [(field, value, allowed) for field, (values, allowed) in BAD.items() for value in values],
)
def test_bad_value(field: str, value: Any, allowed: str) -> None:
    """A wrong value raises ConfigError, a ValueError, that names field, value and
    what is allowed."""
    with pytest.raises(ConfigError) as caught:
        config(**{field: value})
    assert str(caught.value) == f"Config.{field} must be {allowed}, got {value!r}"
    assert isinstance(caught.value, ValueError)


def test_the_former_name_of_an_option() -> None:
    """creation_timeout sets ready_timeout, in a copy of a configuration too, and does not contradict it."""
    former = config(creation_timeout=2.0)
    assert (former.ready_timeout, former.creation_timeout) == (2.0, None)
    assert dataclasses.replace(former, ready_timeout=3.0).ready_timeout == 3.0
    assert dataclasses.replace(former, max_retries=1).ready_timeout == 2.0
    with pytest.raises(ConfigError, match=r"Config\.creation_timeout must be left out where ready_timeout= is given"):
        config(creation_timeout=2.0, ready_timeout=2.0)


def test_every_field_is_checked() -> None:
    """No field is left without a check."""
    checked = set(BAD) | {"on_create", "resource"}
    assert {field.name for field in dataclasses.fields(Config)} == checked


@pytest.mark.parametrize(
    "good",
    [
        {"worker_count": 1, "max_worker_count": 1},
        {"max_worker_count": 3},
        {"burst_interval": 0},
        {"burst_interval": 0.5},
        {"max_retries": 0},
        {"resource_pool_size": 0},
        {"max_temporary_resources": 0},
        {"max_queue_size": 1},
        {"cancel_grace": 0},
        {"rate_window": 1},
        {"ready_timeout": 0.001},
        {"max_stuck_workers": 0},
        {"max_tasks_per_resource": 1},
        {"max_resource_lifetime": 0.1},
        {"on_return": print, "return_timeout": 3},
        {"check_resource": print, "check_after_idle": 0, "check_timeout": None, "check_interval": 3},
        {"quarantine_after": 1, "on_quarantine": print},
        {"target_wait": 0.001},
        {"ctx": Context().child()},
        {"check_health": lambda error: False},
        {"on_destroy": print},
        {"logger": logging.LoggerAdapter(logging.getLogger("x"), {})},
        {"scaling": RatePolicy()},
        {"name": "workers"},
    ],
)
def test_good_value(good: dict[str, Any]) -> None:
    """An allowed value is kept as it is, also at its bounds."""
    made = config(**good)
    for field, value in good.items():
        assert getattr(made, field) is value


def test_defaults_follow_worker_count() -> None:
    """max_worker_count is twice, resource_pool_size once the number of workers."""
    made = config(worker_count=5)
    assert (made.max_worker_count, made.resource_pool_size) == (10, 5)
    none_kept = config(worker_count=0)
    assert (none_kept.max_worker_count, none_kept.resource_pool_size) == (1, 0)


def test_without_a_base_the_number_has_to_change() -> None:
    """A manager without scaling would never have a worker; nor would one whose maximum is 0."""
    with pytest.raises(ConfigError, match=r"Config\.worker_count must be at least 1 where burst_interval is 0"):
        config(worker_count=0, burst_interval=0)
    with pytest.raises(ConfigError, match=r"Config\.max_worker_count must be a positive integer, got 0"):
        config(worker_count=0, max_worker_count=0)


def test_on_create_is_required() -> None:
    """Without on_create and resource the message names what is missing."""
    with pytest.raises(ConfigError, match=r"Config\.on_create is required: .* got None"):
        Config(worker_count=1)


@pytest.mark.parametrize(("field", "value"), [("on_create", 1), ("resource", "x")])
def test_maker_must_be_callable(field: str, value: Any) -> None:
    """A function that makes a resource must be callable."""
    with pytest.raises(ConfigError, match=rf"Config\.{field} must be callable, got {value!r}"):
        Config(worker_count=1, **{field: value})


@pytest.mark.parametrize("field", ["on_create", "on_destroy"])
def test_resource_excludes_the_hooks(field: str) -> None:
    """resource= excludes on_create and on_destroy."""
    assert Config(worker_count=1, resource=contextlib.nullcontext).on_create is None
    refused = rf"Config\.{field} must be left out where resource= is given"
    with pytest.raises(ConfigError, match=refused):
        Config(worker_count=1, resource=contextlib.nullcontext, **{field: print})


def test_collector_protocol() -> None:
    """Any object with the five methods is a collector; the message for another one names the missing methods."""

    class Partial:
        def record_arrival(self) -> None: ...
        def record_completion(self, stamps: object) -> None: ...
        def record_failure(self, stamps: object) -> None: ...

    class Whole(Partial):
        def record_retry(self) -> None: ...
        def metrics(self) -> TaskMetrics:
            return TaskMetrics()

    whole = Whole()
    assert config(collector=whole).collector is whole
    with pytest.raises(ConfigError, match=r"it lacks record_retry, metrics\)"):
        config(collector=Partial())


def test_the_options_for_type_checkers_are_the_fields() -> None:
    """`ConfigOptions` has every field except those whose types depend on the resource."""
    from tasker.config import ConfigOptions

    fields = {field.name for field in dataclasses.fields(Config) if field.init}
    own = {"worker_count", "on_create", "on_destroy", "on_return", "check_resource", "resource"}
    assert ConfigOptions.__annotations__.keys() == fields - own
