"""The dashboard and the alert rules ask for metrics that there are, and the alerts fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from tasker.exporters import catalogue
from tasker.exporters.prometheus import ManagersCollector

FOLDER = Path(__file__).parents[2] / "docs" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def names() -> set[str]:
    """What our exporter shows, as Prometheus names it."""
    found = set()
    for family in ManagersCollector(catalogue.BOUNDS).describe():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        found |= {family.name + end for end in ends}
    return found


@pytest.mark.parametrize("file", ["dashboard.json", "alerts.yml", "alerts_test.yml"])
def test_every_metric_exists(file: str) -> None:
    """No name is misspelt or of an earlier version."""
    used = set(re.findall(r"\btasker_\w+", (FOLDER / file).read_text(encoding="utf-8")))
    assert len(used) >= 4
    assert used - names() == set()


def test_the_dashboard_shows_all_that_matters() -> None:
    """All metrics are on it but those that it derives from others, or that tell little on their own."""
    used = set(re.findall(r"\btasker_\w+", " ".join(EXPRESSIONS)))
    left = {name for name in names() - used if not name.endswith(("_count", "_sum"))}
    assert left == {"tasker_failing_creations", "tasker_resources", "tasker_user_errors_total"}


def test_panels_do_not_overlap() -> None:
    """Each has its place and its number, and queries with names of their own."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs promtool, of the Debian package `prometheus`."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed here: apt-get install prometheus")
    return subprocess.run(["promtool", *args], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize("args", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_the_alerts(args: tuple[str, ...]) -> None:
    """Prometheus reads them, and each fires when it should."""
    done = promtool(*args)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """Each is an expression in PromQL: as rules, promtool reads them all."""
    plain = [one.replace("$__rate_interval", "1m").replace("$manager", ".*") for one in EXPRESSIONS]
    rules = [{"record": f"query_{number}", "expr": one} for number, one in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
