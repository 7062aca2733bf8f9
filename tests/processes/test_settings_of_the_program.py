"""What a program has set for sockets and signals of its own: it changes nothing between it and its children."""

from __future__ import annotations

import socket

import pytest

from support.waiting import WAIT, wait_until

from .programs import Program, methods

LIMITED = """
    import socket, sys, time
    socket.setdefaulttimeout(0.1)
    from tasker import Config, ProcessBackend, TaskManager

    def work(ctx, resource, seconds, content):
        time.sleep(seconds)
        return content

    def main(method):
        large = b"x" * 5_000_000
        with TaskManager(Config(on_create=dict, worker_count=1, backend=ProcessBackend(start_method=method))) as manager:
            assert manager.queue_task(work, 0.5, large) == large
            time.sleep(0.5)
            assert manager.run_task(work, 0.5, large) == large
            assert manager.stats().lost_workers == 0
        assert manager.stats().resources.lost == 0, manager.stats()

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""


@methods
def test_a_default_timeout(program: Program, method: str) -> None:
    """It is for the program's own sockets: a child that is silent for longer lives on."""
    program.run(LIMITED, method)


SILENT = """
    import os, signal, sys
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    from tasker import Config, ProcessBackend, TaskManager
    from tasker.process.protocol.wire import Wire, WireFrame
    from tasker.process.protocol.sockets import socket_pair

    data, side = socket_pair(), socket_pair()
    for _, far in (data, side):
        far.close()
    wire = Wire(data[0], side[0])
    for send in (wire.put, wire.put_all):
        for parts in ([b"small"], [b"x" * 5_000_000]):
            try:
                send(WireFrame(parts))
            except BrokenPipeError:
                print("closed")
    wire.close()

    def work(ctx, resource):
        return os.getpid()

    if __name__ == "__main__":
        config = Config(on_create=dict, worker_count=1, max_worker_count=1, max_retries=20, backend=ProcessBackend())
        with TaskManager(config) as manager:
            for _ in range(5):
                os.kill(manager.queue_task(work), signal.SIGKILL)
        print("alive")
"""


@pytest.mark.skipif(not hasattr(socket, "MSG_NOSIGNAL"), reason="this system has no such flag")
def test_a_program_that_is_to_end_with_its_output(program: Program) -> None:
    """SIGPIPE does not end it where it is a child that has gone."""
    assert program.run(SILENT).split() == ["closed"] * 4 + ["alive"]


GONE = """
    import os, signal, sys, time
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskManager

    class Resource:
        def __init__(self):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)

        def close(self):
            Path("destroyed").touch()

    def task(ctx, resource):
        Path("running").touch()
        ctx.wait(60)
        return "too late"

    if __name__ == "__main__":
        manager = TaskManager(Config(on_create=Resource, on_destroy=Resource.close, worker_count=1, resource_pool_size=0,
                                     backend=ProcessBackend()))
        manager.submit(task)
        while not os.path.exists("running"):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_that_would_end_with_its_output(program: Program) -> None:
    """It ends its resource when its parent is gone, although it has a result to tell by then."""
    process = program.start(GONE)
    process.communicate(timeout=60)
    wait_until(lambda: (program.folder / "destroyed").exists(), WAIT)
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")
