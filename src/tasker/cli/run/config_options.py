"""The options of `tasker run` that are fields of `Config`, passed on as they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker.cli.argument_types import positive, some_seconds


@dataclass(frozen=True, slots=True)
class ConfigOption:
    """An option for a field of `Config`, whose default it has."""

    flag: str
    field: str
    type: Callable[[str], Any]
    metavar: str
    help: str
    of_items: bool = False
    """Whether it says something of single items, so that each has to be a task of its own."""

    @property
    def dest(self) -> str:
        """Its name among the parsed options."""
        return self.flag.removeprefix("--").replace("-", "_")


CONFIG_OPTIONS = (
    ConfigOption(
        "--deadline",
        "task_deadline",
        some_seconds,
        "S",
        "how long an item may take with all its attempts and the time that it waits for a worker (default: for ever)",
        of_items=True,
    ),
    ConfigOption(
        "--quarantine-after",
        "quarantine_after",
        positive,
        "N",
        "give an item up that has left N resources unhealthy (default: never)",
        of_items=True,
    ),
    ConfigOption(
        "--max-tasks-per-resource",
        "max_tasks_per_resource",
        positive,
        "N",
        "replace a resource that has served N items (default: never)",
        of_items=True,
    ),
    ConfigOption(
        "--max-resource-lifetime",
        "max_resource_lifetime",
        some_seconds,
        "S",
        "replace a resource that is so old, when it has no item (default: never)",
    ),
    ConfigOption(
        "--create-timeout",
        "create_timeout",
        some_seconds,
        "S",
        "how long on_create may take until another worker takes over (default: for ever)",
    ),
    ConfigOption(
        "--destroy-timeout",
        "destroy_timeout",
        some_seconds,
        "S",
        "how long on_destroy may take until another worker takes over (default: for ever)",
    ),
)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds them, in a group of their own."""
    group = parser.add_argument_group("limits of items and resources")
    for option in CONFIG_OPTIONS:
        group.add_argument(option.flag, type=option.type, metavar=option.metavar, help=option.help)


def config_fields(parsed: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of `Config` that were given, with their values."""
    given = {option.field: getattr(parsed, option.dest) for option in CONFIG_OPTIONS}
    return {field: value for field, value in given.items() if value is not None}


def says_of_items(fields: dict[str, Any]) -> bool:
    """Returns whether one of these fields says something of single items."""
    return any(option.of_items for option in CONFIG_OPTIONS if option.field in fields)
