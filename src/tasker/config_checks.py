"""The checks of a ``Config``: ``check`` raises ``ConfigError``, which names the field, the value and what is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias

from .context import Context
from .control.finite import is_finite
from .control.retries import RetryPolicy
from .errors import ConfigError
from .options import Backend
from .worker_info import takes_worker

_Config: TypeAlias = Any
"""A ``Config``, which imports this module."""


def check(config: _Config) -> None:
    """Checks the options and fills in the defaults that depend on others."""
    _check_resource(config)
    _check_types(config)
    _rename(config, "creation_timeout", "ready_timeout")
    _integer(config, "worker_count", 0)
    # Only now that ``worker_count`` is known to be valid, because the defaults depend on it. The dataclass is
    # frozen.
    takes = _check_worker_parameter(config)
    most = max(1, 2 * config.worker_count)
    defaults = {"max_worker_count": most, "resource_pool_size": 0 if takes else config.worker_count}
    for field, default in defaults.items():
        if getattr(config, field) is None:
            object.__setattr__(config, field, default)
    _integer(config, "max_worker_count", max(1, config.worker_count), " (worker_count)" if config.worker_count else "")
    _integer(config, "max_stuck_workers", 0, optional=True)
    _integer(config, "max_retries", 0)
    _integer(config, "quarantine_after", 1, optional=True)
    if config.quarantine_after is None and config.on_quarantine is not None:
        raise _wrong("on_quarantine", config.on_quarantine, "left out where quarantine_after is None")
    _integer(config, "resource_pool_size", 0)
    _integer(config, "max_temporary_resources", 0, optional=True)
    _integer(config, "max_queue_size", 1, optional=True)
    _integer(config, "max_tasks_per_resource", 1, optional=True)
    _check_values(config, takes)
    _check_share(config, "max_memory")
    _check_intensity(config)
    _duration(config, "burst_interval", zero=True)
    if not config.worker_count and not config.burst_interval:
        raise _wrong(
            "worker_count", config.worker_count, "at least 1 where burst_interval is 0, which keeps their number"
        )
    _duration(config, "check_after_idle", zero=True)
    _duration(config, "cancel_grace", zero=True)
    _duration(config, "rate_window")
    _duration(config, "target_wait")
    _duration(config, "creation_backoff")
    limits = ("ready_timeout", "create_timeout", "destroy_timeout", "check_timeout", "return_timeout")
    for field in (
        *limits,
        "task_timeout",
        "task_deadline",
        "check_interval",
        "max_resource_lifetime",
        "idle_timeout",
        "stuck_after",
    ):
        _duration(config, field, optional=True)
    _duration(config, "slow_callback", zero=True)
    _check_probes(config)


def _check_probes(config: _Config) -> None:
    if config.check_resource is None and config.check_interval is not None:
        raise _wrong("check_interval", config.check_interval, "left out where check_resource is not given")
    if config.return_timeout is not None:
        if config.on_return is None:
            raise _wrong("return_timeout", config.return_timeout, "left out where on_return is not given")
        if config.backend is not None:
            why = "left out where backend= is given: on_return is a part of the attempt there, which has its timeout"
            raise _wrong("return_timeout", config.return_timeout, why)


def _wrong(field: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"Config.{field} must be {allowed}, got {value!r}")


def _check_resource(config: _Config) -> None:
    if config.resource is None and config.on_create is None:
        raise ConfigError(
            "Config.on_create is required: a function that makes a resource (or give resource=), got None"
        )
    if config.resource is not None:
        for field in ("on_create", "on_destroy"):
            if getattr(config, field) is not None:
                raise _wrong(field, getattr(config, field), "left out where resource= is given")


def _rename(config: _Config, old: str, new: str) -> None:
    """Has an option that was given by its former name count as the present one."""
    value, present = getattr(config, old), getattr(config, new)
    if value is None:
        return
    if present is not None:
        raise _wrong(old, value, f"left out where {new}= is given, of which it is the former name")
    _duration(config, old)
    object.__setattr__(config, new, value)
    object.__setattr__(config, old, None)


def _check_types(config: _Config) -> None:
    for field in (
        "on_create",
        "on_destroy",
        "on_return",
        "check_resource",
        "resource",
        "check_health",
        "on_quarantine",
    ):
        value = getattr(config, field)
        if value is not None and not callable(value):
            raise _wrong(field, value, "callable")
    kinds: tuple[tuple[str, type, str], ...] = (
        ("ctx", Context, "a tasker.Context or None"),
        ("backend", Backend, "a backend (such as ProcessBackend()) or None"),
        ("retry", RetryPolicy, "a RetryPolicy or None"),
    )
    for field, kind, allowed in kinds:
        value = getattr(config, field)
        if value is not None and not isinstance(value, kind):
            raise _wrong(field, value, allowed)
    if config.retry is not None and inspect.iscoroutinefunction(config.retry.retry_on):
        raise _wrong("retry", config.retry, "a RetryPolicy whose retry_on is not asynchronous")
    for field in ("sync_in_thread", "debug"):
        if not isinstance(getattr(config, field), bool):
            raise _wrong(field, getattr(config, field), "True or False")
    if not isinstance(config.name, str) or not config.name:
        raise _wrong("name", config.name, "a non-empty string")
    if config.when_unavailable not in ("wait", "fail"):
        raise _wrong("when_unavailable", config.when_unavailable, "'wait' or 'fail'")
    _check_protocols(config)


def _check_protocols(config: _Config) -> None:
    for field, protocol, methods in (
        ("logger", "Logger", ("debug", "info", "warning", "error")),
        (
            "collector",
            "MetricsCollector",
            ("record_arrival", "record_completion", "record_failure", "record_retry", "metrics"),
        ),
        ("scaling", "ScalingPolicy", ("decide",)),
    ):
        value = getattr(config, field)
        missing = [name for name in methods if not callable(getattr(value, name, None))]
        if missing and (value is not None or field == "logger"):
            raise _wrong(field, value, f"a {protocol} (it lacks {', '.join(missing)})")


def _check_worker_parameter(config: _Config) -> bool:
    field = "on_create" if config.resource is None else "resource"
    try:
        return takes_worker(getattr(config, field))
    except TypeError as error:
        raise ConfigError(f"Config.{field} {error}, got {getattr(config, field)!r}") from None


def _check_values(config: _Config, takes: bool) -> None:
    values = config.per_worker
    if values is None:
        return
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise _wrong("per_worker", values, "a sequence of values, or None")
    if not takes:
        raise _wrong("per_worker", values, "left out where on_create has no parameter that is called worker")
    if len(values) < config.most_workers:
        raise _wrong("per_worker", values, f"at least as many values as max_worker_count, {config.most_workers}")
    if config.pool_size:
        raise _wrong("resource_pool_size", config.pool_size, "0 where per_worker= is given")
    object.__setattr__(config, "per_worker", tuple(values))


def _integer(config: _Config, field: str, least: int, note: str = "", *, optional: bool = False) -> None:
    value = getattr(config, field)
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        allowed = "a positive integer" if least == 1 else f"an integer of at least {least}{note}"
        raise _wrong(field, value, allowed + (" or None" if optional else ""))


def _check_intensity(config: _Config) -> None:
    given = config.restart_intensity
    if given is None:
        return
    allowed = "(n, seconds), a positive integer and a finite number of seconds, more than 0, or None"
    if not isinstance(given, tuple) or len(given) != 2:
        raise _wrong("restart_intensity", given, allowed)
    most, seconds = given
    whole = isinstance(most, int) and not isinstance(most, bool) and most > 0
    if not whole or not is_finite(seconds) or seconds <= 0:
        raise _wrong("restart_intensity", given, allowed)


def _check_share(config: _Config, field: str) -> None:
    value = getattr(config, field)
    if value is not None and not (is_finite(value) and 0 < value <= 1):
        raise _wrong(field, value, "a number, more than 0 and at most 1, or None")


def _duration(config: _Config, field: str, *, zero: bool = False, optional: bool = False) -> None:
    value = getattr(config, field)
    if value is None and optional:
        return
    if not is_finite(value) or value < 0 or (value == 0 and not zero):
        allowed = "a finite number of seconds, " + ("at least 0" if zero else "more than 0")
        raise _wrong(field, value, allowed + (" (or None)" if optional else ""))
