"""Programs for test_nodes.py: what becomes of a manager when nodes, the head, or the connection are lost.

Each prints what it has measured, as JSON in its last line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray

from support.processes import is_running
from support.waiting import wait_until
from tasker import ResourceError, WorkerLost

from .nodes import LIMIT, Load, Nodes, frozen, manager, since


def lose_nodes(folder: Path) -> dict[str, Any]:
    """A node goes while tasks run on it: abruptly, gracefully, and by being frozen, with what comes late from there."""
    nodes, measured = Nodes(3), {}
    with manager() as m:
        for how in ("abrupt", "graceful", "frozen"):
            load, begun = Load(m, folder / how), time.monotonic()
            node, lost_before = nodes.busy(), m.stats().lost_workers
            if how == "frozen":
                with frozen(node):
                    measured[how] = _recovery(m, load, begun)
                    load.release()  # the task there would return now, as soon as it goes on
                    load.check(lost=1)
                # What it would report is not heard: its future has one outcome, and its process is not there for long.
                fenced = load.lost()[0].exception(0).pid
                nodes.wait_for_end(node)  # an actor lives as long as its raylet is known to the system
                wait_until(lambda pid=fenced: not is_running(pid), LIMIT, "the fenced actor is gone")
                load.check(lost=1)
            else:
                nodes.cluster.remove_node(node, allow_graceful=how == "graceful")
                measured[how] = _recovery(m, load, begun)
                load.release()
                load.check(lost=1)
            assert m.stats().lost_workers == lost_before + 1
            if how != "frozen":
                nodes.add()
    ledger = m.stats().resources
    assert (ledger.alive, ledger.lost) == (0, 3), ledger
    nodes.end()
    return measured


def _recovery(m: Any, load: Load, begun: float) -> dict[str, float]:
    """Wait until the loss is seen, and until another actor runs a task in place of the lost one."""
    wait_until(load.lost, LIMIT, "the loss is seen")
    seen = since(begun)
    wait_until(lambda: len(load.started()) > 2, LIMIT, "the next task runs")
    return {"seen": seen, "replaced": since(begun)}


def fill_up(folder: Path) -> dict[str, Any]:
    """More workers than there is room for: the others work meanwhile, and a new node makes room."""
    nodes = Nodes(1)
    with manager() as m:
        assert m.queue_task(_number, 1) == 1
        assert [m.submit(_number, number).result(LIMIT) for number in range(5)] == [*range(5)]
        assert m.stats().active_workers == 1
        begun = time.monotonic()
        nodes.add()
        wait_until(lambda: m.stats().active_workers == 2, LIMIT, "the pending actor has room")
        grown = since(begun)
    with manager(worker_count=3, max_worker_count=3, create_timeout=2) as m:
        wait_until(lambda: "create_timeout" in str(m.stats().creation_error), LIMIT, "it is given up")
        assert [m.submit(_number, number).result(LIMIT) for number in range(5)] == [*range(5)]
        wait_until(
            lambda: "create_timeout" in str(m.explain()), LIMIT, "explain() says so"
        )  # while none has just been made
    nodes.end()
    return {"grown": grown}


def _number(ctx: Any, thing: Any, number: int) -> int:
    return number


def lose_connection(folder: Path) -> dict[str, Any]:
    """The program ends the connection behind the manager's back: running tasks are lost, and a stop ends at once."""
    nodes = Nodes(2)
    with manager(ready_timeout=5) as m:
        load, begun = Load(m, folder / "load"), time.monotonic()
        ray.shutdown()
        wait_until(lambda: len(load.lost()) == 2, LIMIT, "both are lost")
        seen = since(begun)
        for future in load.others:
            assert isinstance(future.exception(LIMIT), ResourceError | WorkerLost), future
        assert sorted(load.started()) == [0, 1]
        begun = time.monotonic()
    stopped = since(begun)
    assert m.stats().resources.alive == 0
    nodes.cluster.shutdown()
    return {"seen": seen, "stopped": stopped}


def lose_head(folder: Path) -> dict[str, Any]:
    """The head goes for good: this program does not see the end of it."""
    nodes = Nodes(2, gcs_rpc_server_reconnect_timeout_s=5)
    with manager() as m:
        load = Load(m, folder / "load")
        nodes.cluster.head_node.kill_gcs_server()
        for future in load.once:
            future.exception(LIMIT)
    return {}


if __name__ == "__main__":
    name, where = sys.argv[1:]
    scenarios = {each.__name__: each for each in (lose_nodes, fill_up, lose_connection, lose_head)}
    found = scenarios[name](Path(where))
    sys.stdout.write("\n" + json.dumps(found) + "\n")
