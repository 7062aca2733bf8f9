"""Makes the dashboard and the alert rules for metrics that come by OpenTelemetry, from those for our exporter for Prometheus.

``python -m tools.otel_grafana`` writes docs/grafana/otel-*. The names are those that OpenTelemetry's specification of the
compatibility with Prometheus prescribes, for its exporters and for the receiver of OTLP in Prometheus.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "grafana"
FILES = ("dashboard.json", "alerts.yml", "alerts_test.yml")

DURATION = re.compile(r"\btasker_(task_wait|task_execution|creation)_seconds_")
LABEL = re.compile(r"(?<![$\w])(manager|state|priority|reason)\b")
OUTCOME = re.compile(r"\boutcome\b")


def query(text: str) -> str:
    """A query or a legend, or rules that are made of them, with the other names."""
    text = DURATION.sub(r"tasker_\1_duration_seconds_", text)
    return OUTCOME.sub("error_type", LABEL.sub(r"tasker_\1", text))


def dashboard(text: str) -> str:
    """The dashboard. Its variables keep their names."""
    made: dict[str, Any] = json.loads(text)
    made |= {"title": "tasker (OpenTelemetry)", "uid": "tasker-otel"}
    for variable in made["templating"]["list"]:
        if variable["type"] == "query":
            variable["query"]["query"] = query(variable["query"]["query"])
    for panel in made["panels"]:
        for target in panel["targets"]:
            target |= {"expr": query(target["expr"]), "legendFormat": query(target["legendFormat"])}
    return json.dumps(made, indent=1) + "\n"


def rules(text: str) -> str:
    """Alert rules, or tests of them."""
    return query(text).replace("alerts.yml", "otel-alerts.yml").replace("alerts_test.yml", "otel-alerts_test.yml")


def otel(name: str) -> str:
    """What docs/grafana/otel-NAME has to be."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return dashboard(text) if name.endswith(".json") else rules(text)


if __name__ == "__main__":
    for name in FILES:
        (FOLDER / f"otel-{name}").write_text(otel(name), encoding="utf-8")
