"""`tasker simulate`: a table, JSON and a report from the real command, and clear words for bad usage."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tasker.simulation.rules import RULES

from .conftest import Workshop
from .pages import data_in

SMALL = ("--rate", "50", "--duration", "20", "--worker-count", "2", "--max-workers", "16")
TEXT = ("--no-report",)


def simulated(shop: Workshop, *arguments: object) -> dict[str, Any]:
    done = shop.run("simulate", *arguments, "--json", "--no-report")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_table_and_report(shop: Workshop) -> None:
    """Each rule has its line with a verdict; the page is where it was asked for."""
    done = shop.run("simulate", *SMALL, "--report", "out.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    for rule in RULES.values():
        (line,) = [line for line in lines if line.startswith(f"{rule.title} ")]
        assert line.split("x  ")[-1] in ("good", "slow", "late", "costly", "slow and costly", "late and costly")
    assert "oracle: at least" in done.stdout
    assert lines[-1] == "report: out.html"
    page = shop.read("out.html")
    assert page.startswith("<!doctype html>")
    assert [rule for rule, _ in data_in(page)["table"]["rows"]] == list(RULES)


def test_json(shop: Workshop) -> None:
    """Every figure of every rule; the same for the same seed."""
    first, again = (simulated(shop, *SMALL, "--seed", 3) for _ in range(2))
    assert first == again
    assert list(first["rules"]) == list(RULES)
    for figures in first["rules"].values():
        assert figures["served"] == first["workload"]["tasks"]
        assert figures["p50_wait_s"] <= figures["p99_wait_s"] <= figures["longest_wait_s"]
    assert first != simulated(shop, *SMALL, "--seed", 4)


@pytest.mark.parametrize("workload", ["constant", "poisson", "square", "ramp", "spike", "diurnal"])
@pytest.mark.parametrize("service", ["constant", "exponential", "lognormal", "pareto"])
def test_workloads(workload: str, service: str) -> None:
    """About as many tasks as were asked for, whatever the shape of the load."""
    options = ["--workload", workload, "--service", service, "--arrivals", "2000", "--rate", "100"]
    data = inside(*options, "--compare", "none")
    assert data["workload"]["tasks"] == pytest.approx(2000, rel=0.15)
    assert list(data["rules"]) == ["tasker"]


def inside(*options: str) -> dict[str, Any]:
    """As the command, but in this process."""
    from tasker.cli.commands import Parser
    from tasker.cli.simulate import arguments, load, text
    from tasker.simulation.comparison import compare
    from tasker.simulation.rules import PoolOptions

    parser = Parser(prog="tasker simulate")
    arguments.configure(parser)
    parsed = parser.parse_args(list(options))
    arguments.check(parsed)
    pool = PoolOptions(worker_count=parsed.worker_count, max_worker_count=parsed.max_workers)
    return text.as_data(compare(load.workload_of(parsed), pool, rules=parsed.compare))


def test_a_trace(shop: Workshop) -> None:
    """The arrivals and service times are those of the file; with a workload, its service times alone are."""
    shop.write("trace.csv", "arrival_s,service_s\n" + "".join(f"{n / 10},0.2\n" for n in range(100)))
    data = simulated(shop, "trace.csv", "--compare", "max")
    assert (data["workload"]["tasks"], data["workload"]["work_s"]) == (100, pytest.approx(20.0))
    assert data["rules"]["max"]["longest_wait_s"] == 0
    data = simulated(shop, "trace.csv", "--workload", "constant", "--rate", 5, "--duration", 10, "--compare", "none")
    assert (data["workload"]["tasks"], data["workload"]["work_s"]) == (50, pytest.approx(10.0))


def test_the_results_of_a_run(shop: Workshop) -> None:
    """What `tasker run` wrote is a trace."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return item\n")
    shop.numbers(30)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "results.jsonl")
    assert done.returncode == 0, done.stderr
    data = simulated(shop, "results.jsonl")
    assert data["workload"]["tasks"] == 30


def test_creation_that_fails(shop: Workshop) -> None:
    """Failing creations are counted; tasks that are given up are a verdict of their own."""
    data = simulated(shop, *SMALL, "--creation-failures", "0.5")
    assert data["rules"]["tasker"]["creation_failures"] > 0
    done = shop.run("simulate", *SMALL, *TEXT, "--outage=-1:1000", "--compare", "none")
    assert done.returncode == 0, done.stderr
    assert "gave up tasks" in done.stdout
    assert "tasks were given up" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], ["--rate", "more than 0", "'0'"]),
        (["--rate", "fast"], ["--rate", "'fast'"]),
        (["--worker-count", "0"], ["--worker-count", "at least 1"]),
        (["--worker-count", "4", "--max-workers", "2"], ["--max-workers 2", "--worker-count 4"]),
        (["--low-rate", "7", "--rate", "5"], ["--low-rate 7", "--rate 5"]),
        (["--duration", "5", "--arrivals", "5"], ["exclude each other"]),
        (["--compare", "max,best"], ["--compare", "'best'", "kpa"]),
        (["--outage", "5"], ["--outage", "FROM:UNTIL"]),
        (["--outage", "9:5"], ["--outage", "FROM first"]),
        (["--creation-failures", "1.5"], ["--creation-failures", "0 to 1"]),
        (["--service", "pareto", "--service-shape", "1"], ["--service-shape 1", "more than 1"]),
        (["--workload", "chaos"], ["--workload", "'chaos'"]),
        (["away.csv"], ["away.csv", "No such file"]),
        (["bad.csv"], ["bad.csv:3", "arrival_s", "'never'"]),
        (["bad.csv", "--arrivals", "10"], ["--arrivals", "trace"]),
        (["--report", "a", "--no-report"], ["--no-report", "not allowed"]),
        (["--clients", "5", "--rate", "5"], ["--clients", "--rate", "exclude each other"]),
        (["--clients", "5", "bad.csv"], ["--clients", "a trace"]),
        (["--clients", "0"], ["--clients", "at least 1"]),
        (["--contention", "4"], ["--contention needs --clients"]),
        (["--think-time", "4"], ["--think-time needs --clients"]),
        (["--clients", "5", "--contention", "0"], ["--contention", "BEST[:LOSS]", "'0'"]),
        (["--clients", "5", "--contention", "4:nan"], ["--contention", "'4:nan'"]),
        (["--creation-spread", "-1"], ["--creation-spread", "at least 0"]),
    ],
)
def test_bad_usage(shop: Workshop, arguments: list[str], words: list[str]) -> None:
    """Exit code 2, one line that names what is wrong, and nothing written."""
    shop.write("bad.csv", "arrival_s\n1\nnever\n")
    done = shop.run("simulate", *arguments)
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert not (shop.folder / "simulation.html").exists()


def test_the_report_can_not_be_written(shop: Workshop) -> None:
    """The figures are printed all the same."""
    done = shop.run("simulate", *SMALL, "--compare", "none", "--report", "no/such/folder.html")
    assert done.returncode == 1
    assert "oracle: at least" in done.stdout
    assert "could not be written to no/such/folder.html: No such file" in done.stderr


def test_the_report_needs_no_extra(shop: Workshop) -> None:
    """Neither what draws nor what serves: an installation without any extra writes it."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('matplotlib', 'starlette', 'uvicorn', 'rich')));"
        " from tasker.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "simulate", *SMALL, "--report", "out.html"]
    options = {"cwd": shop.folder, "env": shop.environment(), "text": True, "capture_output": True, "timeout": 30}
    done = subprocess.run(command, check=False, **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert data_in(shop.read("out.html"))["name"] == "poisson"


LOOP = (
    "--clients",
    "50",
    "--service-time",
    "0.01",
    "--creation-time",
    "0.1",
    "--worker-count",
    "4",
    "--max-workers",
    "32",
)


def test_clients_of_a_database(shop: Workshop) -> None:
    """Where more workers do harm, the verdicts say so: the base is the cheapest, and tasker keeps up with it."""
    done = shop.run(
        "simulate", *LOOP, "--contention", "4:0.14", "--duration", "60", "--compare", "base,max", "--no-report"
    )
    assert done.returncode == 0, done.stderr
    verdicts = {line.split("  ")[0]: line.split("  ")[-1] for line in done.stdout.splitlines()}
    assert verdicts["fixed at base"] == "good"
    assert verdicts["fixed at maximum"] == "slow and costly"
    assert verdicts["tasker"] == "good"
    assert "each further 4 cost 14% of the throughput" in done.stdout
    assert not list(shop.folder.glob("*.html"))


def test_clients_in_a_report(shop: Workshop) -> None:
    """The page is where it was asked for, or in simulation.html, as for any other load."""
    for arguments, name in ((("--report", "loop.html"), "loop.html"), ((), "simulation.html")):
        done = shop.run("simulate", *LOOP, "--duration", "5", "--compare", "base", *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"report: {name}"
        assert "50 clients that send the next task" in shop.read(name)


def test_clients_as_data(shop: Workshop) -> None:
    """All figures, the same for the same seed; clients that think send less."""
    first, again = (simulated(shop, *LOOP, "--duration", 10, "--compare", "max") for _ in range(2))
    assert first == again
    assert list(first["rules"]) == ["tasker", "max"]
    assert first["rules"]["max"]["tasks_per_second"] == pytest.approx(3200, rel=0.1)
    thinking = simulated(shop, *LOOP, "--duration", 10, "--compare", "max", "--think-time", 0.09)
    assert thinking["rules"]["max"]["tasks_per_second"] == pytest.approx(500, rel=0.1)
    assert thinking["clients"]["think_s"] == 0.09
    assert first["clients"]["contention"]["loss"] == 0.0


def test_creations_of_different_length(shop: Workshop) -> None:
    """With a spread, the workers are not ready all at once; the mean is the same."""
    even, varied = (simulated(shop, *SMALL, "--compare", "go", "--creation-spread", spread) for spread in (0, 1))
    assert even["workload"]["creation"]["spread"] == 0
    assert varied["workload"]["creation"]["spread"] == 1
    assert even["rules"]["go"]["mean_wait_s"] != varied["rules"]["go"]["mean_wait_s"]


def test_clients_whose_resources_fail(shop: Workshop) -> None:
    """Tasks that were given up are counted, and the verdict says so."""
    arguments = (
        *LOOP,
        "--duration",
        "5",
        "--outage=-1:1000",
        "--ready-timeout",
        "1",
        "--compare",
        "none",
        "--no-report",
    )
    done = shop.run("simulate", *arguments)
    assert done.returncode == 0, done.stderr
    assert "gave up tasks" in done.stdout
    assert "were given up" in done.stdout
