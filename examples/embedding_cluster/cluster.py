"""The pipeline on a cluster of three nodes, which are all on this machine: interrupted, resumed, and a node lost meanwhile.

Run it with: python examples/embedding_cluster/cluster.py
It needs numpy and the extra `ray`, and takes half a minute.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

HERE = Path(__file__).resolve().parent
SMALL = {"object_store_memory": 80 << 20, "include_dashboard": False}


@contextmanager
def cluster_of(nodes: int) -> Iterator[Any]:
    """A head without processors, and nodes with one each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, **SMALL)
        yield cluster
    finally:
        cluster.shutdown()


def start(folder: Path, address: str, *options: str) -> subprocess.Popen[str]:
    """Starts the pipeline: three actors, one on each node."""
    command = [
        sys.executable,
        "-m",
        "tasker",
        "run",
        str(HERE / "embed.py"),
        "texts.jsonl",
        "--output",
        "vectors.jsonl",
    ]
    workers = ["--backend", "ray", "--address", address, "--workers", "3", "--max-workers", "3"]
    return subprocess.Popen([*command, *workers, *options], cwd=folder, stderr=subprocess.PIPE, text=True)


def wait_for_lines(run: subprocess.Popen[str], path: Path, count: int) -> None:
    """Returns once the output has so many lines."""
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        if run.poll() is not None:
            raise SystemExit(f"ended early: {run.communicate()[1]}")
        time.sleep(0.02)


def end(run: subprocess.Popen[str]) -> str:
    """Returns the summary of a run, once it has ended."""
    summary = run.communicate(timeout=240)[1]
    if run.returncode not in (0, 128 + signal.SIGINT):
        raise SystemExit(f"failed with {run.returncode}: {summary}")
    return summary


def results(path: Path) -> dict[int, dict[str, Any]]:
    """Returns what is done, by the index of the item. No item is done twice."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    done = {record["index"]: record for record in records if record["status"] == "done"}
    assert len(done) == len(records), Counter(record["status"] for record in records)
    return done


def main(folder: Path) -> None:
    texts, output = folder / "texts.jsonl", folder / "vectors.jsonl"
    with texts.open("w") as file:
        subprocess.run([sys.executable, str(HERE / "texts.py")], stdout=file, check=True)
    count = len(texts.read_text().splitlines())
    print(f"{count} modules to embed")
    with cluster_of(3) as cluster:
        run = start(folder, cluster.address)
        wait_for_lines(run, output, count // 5)
        run.send_signal(signal.SIGINT)  # Ctrl-C: what runs is finished, and the rest is left
        end(run)
        first = results(output)
        print(f"interrupted when {len(first)} were done")

        run = start(folder, cluster.address, "--resume")
        wait_for_lines(run, output, len(first) + count // 5)
        lost = min(cluster.worker_nodes, key=lambda node: node.node_id)
        cluster.remove_node(lost, allow_graceful=False)
        print("a node is lost")
        cluster.add_node(num_cpus=1, **SMALL)
        summary = end(run)
    print(summary[summary.index("tasker run: ") :])
    done = results(output)
    kept = sum(done[index] == record for index, record in first.items())
    print(f"{len(done)} of {count} done, {kept} of {len(first)} kept from the first run")
    print(f"{sum(record['attempts'] > 1 for record in done.values())} were tried again")
    print(f"{len({record['result']['node'] for record in done.values()})} nodes took part")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
