"""`make scaling` runs: with short loads, so that it can't rot. What it measures is not looked at here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.scaling import __main__ as suite
from benchmarks.scaling import agreement, limits, report
from benchmarks.scaling.second import LOOPS
from benchmarks.scaling.unseen import UNSEEN
from benchmarks.scaling.workloads import CASES, POOL, REAL, SEED
from tasker.simulation.comparison import compare


def test_the_page(tmp_path: Path) -> None:
    """Every workload has its table; the plots are there."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "SCALING.md"
    path.write_text("before\n\n" + report.MEASURED + "\nmeasured before\n", encoding="utf-8")
    assert suite.main(["--part", "simulated", "--scale", "0.01", "--output", str(tmp_path)]) == 0
    page = path.read_text(encoding="utf-8")
    assert page.endswith("\n\n" + report.MEASURED + "\nmeasured before\n")
    assert "\nbefore\n" not in page
    for case in CASES:
        assert f"## {case.workload.name[0].upper()}{case.workload.name[1:]}\n" in page
    for case in UNSEEN:
        assert f"### {case.workload.name[0].upper()}{case.workload.name[1:]}\n" in page
    for loop, _, _ in LOOPS:
        assert f"| {loop.name}: " in page
    for name in ("scaling-workers.svg", "scaling-trade.svg"):
        assert f"plots/{name}" in page
        assert (tmp_path / "plots" / name).stat().st_size > 10_000


def test_one_part_anew(tmp_path: Path) -> None:
    """What is simulated and what is measured can be written apart; the other part stays as it is."""
    page = tmp_path / "SCALING.md"
    with pytest.raises(SystemExit, match="no simulated part"):
        suite.main(["--part", "measured", "--output", str(tmp_path)])
    page.write_text("simulated\n\n" + report.MEASURED + "\nas it was\n", encoding="utf-8")
    assert suite.main(["--part", "measured", "--scale", "0.01", "--rounds", "1", "--output", str(tmp_path)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("simulated\n\n" + report.MEASURED)
    assert f"| {REAL[0].name}: " in text
    assert "as it was" not in text
    simulated, measured = report.parts(text)
    assert (simulated, measured[: len(report.MEASURED)]) == ("simulated\n\n", report.MEASURED)


def test_a_real_run() -> None:
    """A real manager runs the tasks that are simulated, every one of them."""
    load = dataclasses.replace(REAL[0], duration=0.5)
    (one,) = agreement.compare([load], 1, lambda line: None)
    assert one.real("worker_seconds") >= 0.5 * POOL.worker_count
    assert one.simulated("worker_seconds") >= 0.5 * POOL.worker_count


def test_the_smallest_good_pool() -> None:
    """One worker less would not be good enough; at equal distances, exactly the work decides."""
    load = dataclasses.replace(CASES[0].workload, duration=30.0)
    found = limits.limits_of(compare(load, POOL, seed=SEED, rules=()), SEED)
    assert found.fixed == 10
    assert found.fixed_cost == pytest.approx(1.0, abs=0.02)
