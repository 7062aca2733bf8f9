"""A real Prometheus scrapes a real endpoint, and answers questions; promtool finds nothing to complain of."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tasker import Config, TaskManager

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from support.ports import free_port
from tasker.exporters.prometheus import register


def tool(name: str) -> str:
    """A program of the Debian package `prometheus`, which `.ci/run` installs."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed here: apt-get install prometheus")
    return path


def nothing(ctx: Any, resource: Any) -> None:
    """The task."""


def test_promtool_has_no_complaint() -> None:
    """Names, types, units and help are as its linter wants them."""
    promtool, registry = tool("promtool"), CollectorRegistry()
    with TaskManager(Config(on_create=object, worker_count=1, name="linted")) as m:
        register(m, registry)
        m.queue_task(nothing)
        text = generate_latest(registry)
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=50)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def answer(port: int, question: str) -> list[dict[str, Any]]:
    """What a Prometheus answers to a question in PromQL."""
    query = urllib.parse.urlencode({"query": question})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=5) as response:
        result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result


def eventually(port: int, question: str) -> list[dict[str, Any]]:
    """The first answer that is not empty."""
    end = time.monotonic() + 45
    while True:
        try:
            if found := answer(port, question):
                return found
        except OSError:  # it still starts
            pass
        assert time.monotonic() < end, f"no answer to {question}"
        time.sleep(0.1)


def test_a_real_prometheus(tmp_path: Path) -> None:
    """It knows how many tasks have ended and how long they have waited."""
    prometheus, registry, port = tool("prometheus"), CollectorRegistry(), free_port()
    with TaskManager(Config(on_create=object, worker_count=2, name="scraped")) as m:
        register(m, registry)
        for _ in range(200):
            m.queue_task(nothing)
        server, thread = start_http_server(0, "127.0.0.1", registry)
        settings = f"""
            global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
            scrape_configs:
              - job_name: pool
                static_configs: [{{targets: ["127.0.0.1:{server.server_port}"]}}]
        """
        (tmp_path / "prometheus.yml").write_text(settings)
        command = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        process = subprocess.Popen(command, cwd=tmp_path)
        try:
            found = eventually(port, 'sum(tasker_tasks_total{manager="scraped",outcome="completed"}) == 200')
            assert found[0]["value"][1] == "200"
            question = "histogram_quantile(0.5, sum by (le) (tasker_task_wait_seconds_bucket)) < 10"
            assert 0 < float(eventually(port, question)[0]["value"][1]) < 10
            assert answer(port, 'sum(tasker_workers{state="ready"})')[0]["value"][1] == "2"
        finally:
            process.terminate()
            process.wait(20)
            server.shutdown()
            server.server_close()
            thread.join()
