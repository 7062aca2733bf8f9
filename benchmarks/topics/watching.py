"""What each way to watch a manager costs it: the throughput of no-op tasks, watched and not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import process_time
from typing import Any

from benchmarks.runner import RATE, Claim, Contestant, Figure, Race, Size, advantage
from benchmarks.work import burst, clock, manager
from tasker import TaskManager

WORKERS = 4
BURSTS = 20
PAGES = 100
WORTH = Figure("worth", "tasks for a second of processor time", "/s", more_is_better=True)
ALONE = "tasker, nobody watches"
COLUMNS, LINES = 100, 40
READERS = """
import selectors, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chosen = selectors.DefaultSelector()
for _ in range(count):
    one = socket.create_connection((host, port))
    one.sendall(f"GET /api/live HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode())
    assert b" 200 " in one.recv(100)
    chosen.register(one, selectors.EVENT_READ)
print("reading", flush=True)
while chosen.get_map():
    for key, _ in chosen.select():
        if not key.fileobj.recv(1 << 20):
            chosen.unregister(key.fileobj)
"""
"""A process that reads what as many pages would."""

Watcher = Callable[[TaskManager[object]], AbstractContextManager[object]]


def race(tasks: int, size: Size) -> Race:
    """The race of all of them."""
    watchers: dict[str, tuple[Watcher, str]] = {
        "tasker, Prometheus": (prometheus, "an exposition each second, and a subscriber to all events"),
        "tasker, OpenTelemetry": (
            otel,
            "all instruments are read every two seconds, thirty times as often as is the default",
        ),
        "tasker, live view": (live, f"drawn twice a second on a terminal of {COLUMNS}x{LINES}"),
        "tasker, dashboard": (dashboard, f"{PAGES} pages, whose streams another process reads"),
    }
    return Race(
        key="observing-watching",
        title="What watching costs",
        work=f"{tasks:,} no-op tasks, submitted and awaited in {BURSTS} bursts.",
        figures=[RATE, WORTH],
        contestants=[
            Contestant(ALONE, lambda: alone(tasks)),
            *(
                Contestant(name, partial(watched, watcher, tasks), remark)
                for name, (watcher, remark) in watchers.items()
            ),
        ],
        rounds=size.rounds(7),
        claims=[
            Claim(
                name.removeprefix("tasker, "), "at most 5% of the throughput", advantage(ALONE, one=name), at_least=0.95
            )
            for name in watchers
        ],
    )


def alone(tasks: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        return _rate(pool, tasks)


def watched(watcher: Watcher, tasks: int) -> dict[str, float]:
    with manager(WORKERS) as pool, watcher(pool):
        return _rate(pool, tasks)


def _rate(pool: TaskManager[object], tasks: int) -> dict[str, float]:
    begin, used = clock(), process_time()
    for _ in range(BURSTS):
        burst(pool, max(1, tasks // BURSTS))
    return {"rate": tasks / (clock() - begin), "worth": tasks / (process_time() - used)}


@contextmanager
def _every(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def repeat() -> None:
        call()
        while not over.wait(seconds):
            call()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# What they need is imported here, as it is not installed where this is run without the GIL.


@contextmanager
def prometheus(pool: TaskManager[object]) -> Iterator[None]:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    from tasker.exporters.prometheus import register  # noqa: PLC0415

    registry = CollectorRegistry()
    register(pool, registry)
    with pool.events(lambda event: None), _every(1.0, lambda: generate_latest(registry)):
        yield


@contextmanager
def otel(pool: TaskManager[object]) -> Iterator[None]:
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415

    from tasker.exporters.otel import register  # noqa: PLC0415

    reader: Any = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    register(pool, provider)
    with _every(2.0, reader.get_metrics_data):
        yield
    provider.shutdown()


@contextmanager
def live(pool: TaskManager[object]) -> Iterator[None]:
    import termios  # noqa: PLC0415

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (LINES, COLUMNS))

    def drain() -> None:
        try:
            while os.read(ours, 1 << 16):
                pass
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        with os.fdopen(theirs, "w") as terminal, pool.live(file=terminal):
            yield
    finally:
        reader.join()
        os.close(ours)


@contextmanager
def dashboard(pool: TaskManager[object]) -> Iterator[None]:
    from tasker.dashboard import serve  # noqa: PLC0415

    with serve(pool, port=0) as server:
        host, _, port = server.url.removeprefix("http://").rstrip("/").partition(":")
        command = [sys.executable, "-c", READERS, host, port, str(PAGES)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as readers:
            assert readers.stdout is not None
            assert readers.stdout.readline()
            yield
            server.close()  # ends the streams, and so the process
