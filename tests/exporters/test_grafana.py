"""The dashboards and the alert rules ask for metrics that there are, Grafana takes them, and the alerts fire when they should."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tools import otel_grafana

from tasker import Config, TaskManager
from tasker.exporters import prometheus

FOLDER = Path(__file__).parents[2] / "docs" / "grafana"
SCHEMA = Path(__file__).parent / "grafana" / "dashboard.schema.json"
FLAVOURS = ("", "otel-")
"""What the names of files begin with: for our exporter for Prometheus, and for OpenTelemetry's names there."""


def dashboard(flavour: str) -> dict[str, Any]:
    """The dashboard of a flavour."""
    found: dict[str, Any] = json.loads((FOLDER / f"{flavour}dashboard.json").read_text(encoding="utf-8"))
    return found


def expressions(flavour: str) -> list[str]:
    """All queries of its panels."""
    return [target["expr"] for panel in dashboard(flavour)["panels"] for target in panel["targets"]]


@contextmanager
def shown_by_ours(manager: TaskManager[Any]) -> Iterator[CollectorRegistry]:
    """A manager in a registry of prometheus-client, by our own exporter."""
    registry = CollectorRegistry()
    prometheus.register(manager, registry)
    yield registry


@contextmanager
def shown_by_otel(manager: TaskManager[Any]) -> Iterator[CollectorRegistry]:
    """The same by OpenTelemetry, whose exporter for Prometheus translates the names."""
    exporter = pytest.importorskip("opentelemetry.exporter.prometheus")
    from opentelemetry.sdk.metrics import MeterProvider

    from tasker.exporters import otel

    provider = MeterProvider([exporter.PrometheusMetricReader()], shutdown_on_exit=False)
    try:
        otel.register(manager, provider)
        yield REGISTRY
    finally:
        provider.shutdown()


def shown(flavour: str) -> dict[str, set[str]]:
    """The names of a manager's metrics in Prometheus, and the labels of each."""
    show: Callable[..., Any] = shown_by_otel if flavour else shown_by_ours
    found: dict[str, set[str]] = {}
    with TaskManager(Config(on_create=object, worker_count=1, name="shown")) as m, show(m) as registry:
        m.queue_task(lambda ctx, resource: None)
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels for name, labels in found.items() if name.startswith("tasker_")}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_metric_and_label_exists(flavour: str) -> None:
    """No name is misspelt or of an earlier version."""
    known = shown(flavour)
    labels = set().union(*known.values())
    for file in ("dashboard.json", "alerts.yml", "alerts_test.yml"):
        text = (FOLDER / (flavour + file)).read_text(encoding="utf-8")
        used = set(re.findall(r"\btasker_\w+", text)) - labels
        assert len(used) >= 4
        assert used - known.keys() == set(), file
    for query in expressions(flavour):
        grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", query) for label in by.split(", ")}
        selected = set(re.findall(r"[{,](\w+)=~?", query))
        (name, *_) = re.findall(r"\btasker_\w+(?=\{)", query)
        assert grouped | selected <= known[name], query


def test_the_dashboard_shows_all_that_matters() -> None:
    """All metrics are on it but those that it derives from others, or that tell little on their own."""
    used = set(re.findall(r"\btasker_\w+", " ".join(expressions(""))))
    left = {name for name in shown("").keys() - used if not name.endswith(("_count", "_sum"))}
    assert left == {"tasker_failing_creations", "tasker_resources", "tasker_user_errors_total"}


@pytest.mark.parametrize("name", otel_grafana.FILES)
def test_both_flavours_are_the_same(name: str) -> None:
    """That for OpenTelemetry is made from the other one: `python -m tools.otel_grafana`."""
    assert (FOLDER / f"otel-{name}").read_text(encoding="utf-8") == otel_grafana.otel(name)


def test_panels_do_not_overlap() -> None:
    """Each has its place and its number, and queries with names of their own."""
    panels = dashboard("")["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def complaints(model: dict[str, Any]) -> list[str]:
    """Where a dashboard is not as Grafana's own types have it."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [one.json_path for one in jsonschema.Draft7Validator(schema).iter_errors(model)]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_dashboard_is_as_grafana_wants_it(flavour: str) -> None:
    """Nothing is misspelt, missing or of another type, by the schema of Grafana's types."""
    assert complaints(dashboard(flavour)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schemaVersion",), "39"),
        (("panels", 0, "gridPos", "h"), "8"),
        (("panels", 0, "options", "tooltip", "mode"), "all"),
        (("panels", 0, "options", "legend"), {"showLegend": True}),
        (("panels", 0, "targets", 0, "expression"), "up"),
        (("templating", "list", 0, "kind"), "query"),
    ],
    ids=str,
)
def test_the_schema_sees_mistakes(path: tuple[str | int, ...], value: object) -> None:
    """It is strict: a wrong type, an unknown key or value, one that is missing."""
    broken = copy.deepcopy(dashboard(""))
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert complaints(broken)


def promtool(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs promtool, of the Debian package `prometheus`."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed here: apt-get install prometheus")
    return subprocess.run(["promtool", *args], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("command", "file"), [("check", "alerts.yml"), ("test", "alerts_test.yml")])
def test_the_alerts(command: str, file: str, flavour: str) -> None:
    """Prometheus reads them, and each fires when it should."""
    done = promtool(command, "rules", flavour + file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_queries_of_the_dashboard(flavour: str, tmp_path: Path) -> None:
    """Each is an expression in PromQL: as rules, promtool reads them all."""
    plain = [one.replace("$__rate_interval", "1m").replace("$manager", ".*") for one in expressions(flavour)]
    rules = [{"record": f"query_{number}", "expr": one} for number, one in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
