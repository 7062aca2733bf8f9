"""Bursts, metrics and shutdown.

Run it with: python examples/advanced.py
"""

from __future__ import annotations

import os
import signal
import threading
import time

from tasker import Config, Context, QueueFull, TaskKilled, TaskManager


class Renderer:
    """Takes a moment to make, as a browser does."""

    def __init__(self) -> None:
        time.sleep(0.02)

    def render(self, ctx: Context, page: int) -> int:
        ctx.wait(0.05)  # a sleep that a kill interrupts
        ctx.raise_if_cancelled()
        return page


def render(ctx: Context, renderer: Renderer, page: int) -> int:
    return renderer.render(ctx, page)


def bursts() -> None:
    print("Bursts: 2 workers, up to 8 while there is a backlog")
    config = Config(on_create=Renderer, worker_count=2, max_worker_count=8, burst_interval=0.05, name="render")
    with TaskManager(config) as manager:
        futures = [manager.submit(render, page) for page in range(120)]
        most = 0
        while not all(future.done() for future in futures):
            stats = manager.stats()
            most = max(most, stats.base_workers + stats.burst_workers)
            time.sleep(0.01)
        print(f"  most workers while the load lasted: {most}")
        deadline = time.monotonic() + 4
        while manager.stats().burst_workers and time.monotonic() < deadline:
            time.sleep(0.02)
        stats = manager.stats()
        print(f"  workers when it was over: {stats.base_workers} base, {stats.burst_workers} burst")

        metrics = manager.metrics()
        print(
            f"  {metrics.total_tasks_completed} completed, "
            f"execution p50 {metrics.p50_execution_time * 1000:.0f} ms, p99 {metrics.p99_execution_time * 1000:.0f} ms, "
            f"waiting p50 {metrics.p50_wait_time * 1000:.0f} ms, success rate {metrics.success_rate:.0%}"
        )


def a_bounded_queue() -> None:
    print("A bounded queue says no, or makes the producer wait")
    config = Config(on_create=Renderer, worker_count=1, burst_interval=0, max_queue_size=2, name="bounded")
    accepted = refused = 0
    with TaskManager(config) as manager:
        for page in range(20):
            try:
                manager.submit(render, page, block=False)
                accepted += 1
            except QueueFull:
                refused += 1
        print(f"  without waiting: {accepted} accepted, {refused} refused")
        # `map` submits only a few items ahead of the results taken from it, so it fits any queue and any number of inputs.
        print(f"  map waits for its turn: {sum(manager.map(render, range(10)))}")


def kill() -> None:
    print("Kill: running tasks are asked to end, queued ones end with TaskKilled")
    manager = TaskManager(Config(on_create=Renderer, worker_count=1, burst_interval=0, name="killed"))
    started = threading.Event()

    def patient(ctx: Context, _renderer: Renderer) -> str:
        started.set()
        return "asked to end" if ctx.wait(30) else "slept it out"

    running = manager.submit(patient)
    queued = [manager.submit(render, page) for page in range(3)]
    started.wait()
    report = manager.kill(timeout=2)
    print(f"  running: {running.result()}; queued: {sum(future.cancelled() for future in queued)} killed")
    try:
        queued[0].result()
    except TaskKilled as error:
        print(f"  whoever waited for one gets: {error!r}")
    print(f"  {report}")


def stop_with_a_deadline() -> None:
    print("Stop with a deadline: what cannot be done by then is killed")
    manager = TaskManager(Config(on_create=Renderer, worker_count=2, burst_interval=0, name="stopped"))
    futures = [manager.submit(render, page) for page in range(200)]
    report = manager.stop(timeout=0.3)
    done = sum(not future.cancelled() and future.exception() is None for future in futures)
    print(f"  {done} done, {report.killed_tasks} of the queue killed, after {report.seconds:.1f} s")


def signals() -> None:
    print("Signals: the first SIGTERM stops gracefully")
    with TaskManager(Config(on_create=Renderer, worker_count=2, name="service")) as manager, manager.stop_on_signals():
        futures = [manager.submit(render, page) for page in range(10)]
        os.kill(os.getpid(), signal.SIGTERM)
        print(f"  all the same, {len([future.result() for future in futures])} of 10 pages were rendered")
        print(f"  closed: {manager.closed}")


if __name__ == "__main__":
    bursts()
    a_bounded_queue()
    kill()
    stop_with_a_deadline()
    signals()
