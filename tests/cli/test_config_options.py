"""The options of a run that are fields of Config."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from tasker import Config
from tasker.cli.run import arguments
from tasker.cli.run.config_options import CONFIG_OPTIONS, ConfigOption

from .conftest import Workshop
from .jobfiles import THIRD_WAITS


def options_of(*words: str) -> arguments.RunOptions:
    """The checked options of a command line."""
    parser = argparse.ArgumentParser()
    arguments.configure(parser)
    return arguments.checked(parser.parse_args(["jobs.py", *words]))


@pytest.mark.parametrize("option", CONFIG_OPTIONS, ids=lambda option: option.flag)
def test_each_is_passed_on(option: ConfigOption) -> None:
    """Under its field's name; what is not given is left to Config. An item with a limit of its own is a task of its own."""
    assert option.field in {field.name for field in fields(Config)}
    options = options_of(option.flag, "3")
    assert options.config == {option.field: 3}
    assert options.has_lanes is not option.of_items
    assert options_of().config == {}
    assert options_of().has_lanes


@pytest.mark.parametrize("option", CONFIG_OPTIONS, ids=lambda option: option.flag)
@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_a_wrong_value(option: ConfigOption, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the option and the value."""
    with pytest.raises(SystemExit) as caught:
        options_of(option.flag, value)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert option.flag in said
    assert repr(value) in said


def test_an_item_whose_deadline_passes(shop: Workshop) -> None:
    """It fails with TaskTimeout; the others are run."""
    shop.write("jobs.py", THIRD_WAITS)
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--deadline", 2)
    assert done.returncode == 1, done.stderr
    (failed,) = (record for record in shop.records() if record["status"] == "failed")
    assert (failed["index"], failed["error"]["type"]) == (3, "tasker.errors.TaskTimeout")
    assert "deadline=2" in failed["error"]["message"]


def test_an_item_that_breaks_what_it_is_given(shop: Workshop) -> None:
    """It fails with PoisonTask after as many resources as were said."""
    shop.write(
        "jobs.py",
        """
        check_health = lambda error: not isinstance(error, ConnectionError)

        def on_create():
            return object()

        def task(ctx, resource, item):
            if item == "3":
                raise ConnectionError("gone")
            return item
        """,
    )
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--quarantine-after", 2)
    assert done.returncode == 1, done.stderr
    (failed,) = (record for record in shop.records() if record["status"] == "failed")
    assert (failed["index"], failed["error"]["type"], failed["attempts"]) == (3, "tasker.errors.PoisonTask", 2)


def test_a_resource_that_has_served_its_time(shop: Workshop) -> None:
    """Each item has a resource of its own."""
    shop.write(
        "jobs.py",
        """
        made = iter(range(100))

        def on_create():
            return next(made)

        def task(ctx, resource, item):
            return resource
        """,
    )
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--max-tasks-per-resource", 1)
    assert done.returncode == 0, done.stderr
    assert len({record["result"] for record in shop.records()}) == 5
