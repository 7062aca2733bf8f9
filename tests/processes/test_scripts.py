"""Whole programs: what they define in __main__, how they end, and what is left of them."""

from __future__ import annotations

import os
import signal
import textwrap
from pathlib import Path

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import WAIT, wait_until

from .programs import Program, methods

MAIN = """
    import dataclasses, enum, os, sys
    from tasker import Config, ProcessBackend, TaskManager, WorkerLost

    class Refused(Exception):
        def __init__(self, code):
            super().__init__(code)
            self.code = code

    class Colour(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Order:
        number: int
        colour: Colour = Colour.RED

    class Engine:
        def __init__(self):
            self.pid = os.getpid()

        def close(self):
            assert self.pid == os.getpid()

    FACTOR = 3

    def work(ctx, engine, order):
        assert isinstance(order, Order) and order.colour is Colour.RED
        assert isinstance(engine, Engine) and engine.pid == os.getpid()
        if order.number < 0:
            raise Refused(order.number)
        return Order(order.number * FACTOR)

    def main(method):
        backend = ProcessBackend(start_method=method)
        with TaskManager(Config(on_create=Engine, on_destroy=Engine.close, worker_count=2, backend=backend)) as manager:
            result = manager.queue_task(work, Order(14))
            assert isinstance(result, Order) and result == Order(42), result
            try:
                manager.queue_task(work, Order(-1))
            except Refused as refused:
                print("refused", refused.code)
            print(manager.run_task(lambda ctx, engine: [order.number for order in [Order(1), Order(2)]]))
            print([order.number for order in manager.map(work, [Order(n) for n in range(4)])])
            try:
                manager.queue_task(lambda ctx, engine: os._exit(3), once=True)
            except WorkerLost as lost:
                print("exit code 3" in str(lost))
        assert manager.stats().user_errors == 0
        print("end")
"""
GUARDED = (
    MAIN
    + """
    if __name__ == "__main__":
        main(sys.argv[1])
"""
)
UNGUARDED = (
    MAIN
    + """
    main(sys.argv[1])
"""
)
SAYS = "refused -1\n[1, 2]\n[0, 3, 6, 9]\nTrue\nend\n"


@methods
def test_what_main_defines(program: Program, method: str) -> None:
    """Functions, classes, errors and constants of __main__ are the same on both sides."""
    assert program.run(GUARDED, method) == SAYS


@methods
def test_a_script_without_a_guard(program: Program, method: str) -> None:
    """A script that starts at once, as in the README's first example, runs once and not in every child."""
    assert program.run(UNGUARDED, method) == SAYS


@methods
def test_python_dash_c(program: Program, method: str) -> None:
    """A program that is no file."""
    assert program.run(GUARDED, method, command=["-c", textwrap.dedent(GUARDED)]) == SAYS


@methods
def test_python_dash_m(program: Program, method: str) -> None:
    """A module that runs as __main__."""
    assert program.run(GUARDED, method, command=["-m", "program"]) == SAYS


# Ends.

ENDLESS = """
    import os, signal, sys, threading, time
    from functools import partial
    from processes import work
    from support.files_between_processes import FileGate, Notes
    from tasker import Config, ProcessBackend, TaskManager

    def main(folder, method, task, end):
        notes, door = Notes(folder + "/notes"), FileGate(folder + "/door")
        manager = TaskManager(Config(
            on_create=partial(work.make, notes), on_destroy=work.Thing.end, worker_count=2, max_worker_count=2,
            resource_pool_size=1, backend=ProcessBackend(start_method=method), name="crew", cancel_grace=0.5,
        ))
        manager.run_task(work.echo, 1)
        futures = [manager.submit(getattr(work, task), door) for _ in range(2)] if task else []
        while len(notes.lines("create")) < 3 or len(door.pids) < len(futures):
            time.sleep(0.005)
        notes.write("ready", os.getpid())
        if end == "wait":
            time.sleep(1000)
        elif end == "os._exit":
            os._exit(0)
        elif end == "exception":
            raise SystemExit(0)
        elif end == "return":
            return
        elif end == "with":
            with manager:
                pass
        elif end == "forgotten":
            manager.kill(1)

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""
TASKS = ["", "obey", "spin", "sleep_long", "sleep_with_the_gil", "shrug_off"]


@pytest.mark.parametrize("task", TASKS, ids=[task or "idle" for task in TASKS])
@methods
def test_the_parent_is_killed(program: Program, method: str, task: str) -> None:
    """After a SIGKILL of the parent no process is left, whatever its children were doing, and no temporary file of theirs
    that they could have removed."""
    notes = Notes(str(program.folder / "notes"))
    process = program.start(ENDLESS, program.folder, method, task, "wait")
    wait_until(lambda: notes.lines("ready") or process.poll() is not None, WAIT)
    assert process.poll() is None, process.communicate()
    process.kill()
    process.wait(10)
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")
    if task in ("", "obey"):
        assert sorted(notes.lines("destroy")) == sorted(notes.lines("create")), "those that could ended their resources"


PRINTING = """
import os, sys, time
from tasker import Config, ProcessBackend, TaskManager

def task(ctx, resource):
    os.close(os.open("ready", os.O_CREAT))
    try:
        ctx.wait()
    finally:
        print("no more", file=sys.stderr, flush=True)
        os.close(os.open("cleaned", os.O_CREAT))

def end(resource):
    print("closing", resource)
    os.close(os.open("destroyed", os.O_CREAT))

backend = ProcessBackend(start_method=sys.argv[1])
with TaskManager(Config(on_create=os.getpid, on_destroy=end, worker_count=1, backend=backend)) as manager:
    if sys.argv[2] == "busy":
        manager.submit(task)
    else:
        manager.queue_task(lambda ctx, resource: os.close(os.open("ready", os.O_CREAT)))
    time.sleep(100)
"""


@pytest.mark.parametrize("what", ["idle", "busy"])
@methods
def test_what_prints_when_the_parent_is_gone(program: Program, method: str, what: str) -> None:
    """It goes on behind that: a task that is cancelled, and ``on_destroy``."""
    process = program.start(PRINTING, method, what)
    wait_until((program.folder / "ready").exists, WAIT)
    process.kill()
    process.wait(10)
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")
    assert (program.folder / "destroyed").exists()
    assert (program.folder / "cleaned").exists() == (what == "busy")


STOPPED = """
import os, signal, sys
from tasker import Config, ProcessBackend, TaskManager

def task(ctx, resource, n):
    os.close(os.open(f"ready{n}", os.O_CREAT))
    return len(os.read(os.open("gate", os.O_RDONLY), 1))

backend = ProcessBackend(start_method=sys.argv[1])
config = Config(on_create=dict, on_destroy=print, worker_count=2, max_retries=0, backend=backend)
with TaskManager(config) as manager, manager.stop_on_signals(signal.SIGTERM, signal.SIGHUP):
    futures = [manager.submit(task, n) for n in range(2)]
    print([future.result() for future in futures])
books = manager.stats().resources
print(books.created == books.destroyed, books.lost)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@methods
def test_a_signal_for_the_whole_group(program: Program, method: str, number: int) -> None:
    """No task is interrupted and no resource lost, if the program stops on it."""
    os.mkfifo(program.folder / "gate")
    process = program.start(STOPPED, method)
    wait_until(lambda: len([*program.folder.glob("ready*")]) == 2, WAIT)
    os.killpg(process.pid, number)
    gates = [os.open(program.folder / "gate", os.O_WRONLY) for _ in range(2)]
    os.write(gates[0], b"..")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "[1, 1]" in out
    assert out.splitlines()[-1] == "True 0"
    for gate in gates:
        os.close(gate)


@pytest.mark.parametrize("end", ["os._exit", "exception", "return", "with", "forgotten"])
@methods
def test_the_parent_leaves(program: Program, method: str, end: str) -> None:
    """However the parent ends, nothing is left of it."""
    process = program.start(ENDLESS, program.folder, method, "", end)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")
    if end != "os._exit":
        program.check_nothing_is_left()
        notes = Notes(str(program.folder / "notes"))
        assert sorted(notes.lines("destroy")) == sorted(notes.lines("create"))


@methods
def test_terminated_by_a_service_manager(program: Program, method: str) -> None:
    """SIGTERM to the parent, unhandled: it dies of it, and nothing is left."""
    notes = Notes(str(program.folder / "notes"))
    process = program.start(ENDLESS, program.folder, method, "obey", "wait")
    wait_until(lambda: notes.lines("ready") or process.poll() is not None, WAIT)
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")


CTRL_C = """
    import sys, time
    from functools import partial
    from processes import work
    from support.files_between_processes import FileGate, Notes
    from tasker import Config, ProcessBackend, TaskManager

    def main(folder):
        notes, door = Notes(folder + "/notes"), FileGate(folder + "/door")
        config = Config(
            on_create=partial(work.make, notes), on_destroy=work.Thing.end, worker_count=2, resource_pool_size=0,
            max_worker_count=2, backend=ProcessBackend(),
        )
        with TaskManager(config) as manager, manager.stop_on_signals():
            futures = [manager.submit(work.hold, door, n) for n in range(2)]
            print([future.result() for future in futures])
        print(manager.stats().resources.lost)

    if __name__ == "__main__":
        main(sys.argv[1])
"""


def test_ctrl_c_at_a_terminal(program: Program) -> None:
    """SIGINT reaches the whole group: the parent decides, the tasks in the children finish."""
    door = FileGate(str(program.folder / "door"))
    process = program.start(CTRL_C, program.folder)
    door.wait_arrivals(2)
    os.killpg(process.pid, signal.SIGINT)
    door.open()
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("[0, 1]\n0\n", "")
    program.check_nothing_is_left()


FORK_SERVER = """
    import os, signal, sys, time
    import psutil
    from functools import partial
    from processes import work
    from support.files_between_processes import Notes
    from tasker import Config, ProcessBackend, TaskManager

    def main(folder):
        notes = Notes(folder + "/notes")
        def config():
            return Config(
                on_create=partial(work.make, notes), on_destroy=work.Thing.end, worker_count=2, max_worker_count=2,
                resource_pool_size=0, backend=ProcessBackend(), ready_timeout=20,
            )
        with TaskManager(config()) as manager:
            child = manager.queue_task(work.pid)
            server = psutil.Process(child).ppid()
            print(server != os.getpid())
            if server != os.getpid():
                os.kill(server, signal.SIGKILL)
            for number in range(5):
                assert manager.submit(work.crash_times, number + 1).result(30) >= 1
            assert list(manager.map(work.echo, range(100))) == list(range(100))
        with TaskManager(config()) as manager:
            assert manager.queue_task(work.echo, "alive") == "alive"
        print("end")

    if __name__ == "__main__":
        main(sys.argv[1])
"""


def test_the_process_that_forks_is_killed(program: Program) -> None:
    """Children are made by another one from then on; tasks get their results."""
    assert program.run(FORK_SERVER, program.folder).endswith("end\n")


NOTHING = """
    import glob, os, sys, tempfile, threading, time
    from functools import partial
    from processes import work
    from support.files_between_processes import FileGate, Notes
    from support.shared_memory import SharedMemoryLeaks
    from tasker import Config, ProcessBackend, TaskManager

    def look():
        return {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "files": sorted(os.listdir(tempfile.gettempdir())),
        }

    def until(condition):
        end = time.monotonic() + 15
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)

    def once(folder, method, how):
        notes, door = Notes(folder + "/notes"), FileGate(folder + "/door")
        manager = TaskManager(Config(
            on_create=partial(work.make, notes), on_destroy=work.Thing.end, worker_count=3, max_worker_count=3,
            resource_pool_size=1, backend=ProcessBackend(start_method=method), cancel_grace=0.2,
        ))
        assert manager.queue_task(work.echo, b"x" * 5_000_000) == b"x" * 5_000_000
        manager.run_task(work.say, "heard\\n")
        manager.submit(work.crash, once=True).exception(30)
        if how == "stop":
            manager.stop()
        else:
            manager.submit(work.spin, door)
            door.wait_arrivals(1)
            assert manager.kill(0.5).abandoned == ()

    def main(folder, method, how):
        once(folder, method, how)
        until(lambda: threading.active_count() == 1)  # a kill returns at its deadline, whatever has not ended by then
        before, leaks = look(), SharedMemoryLeaks()
        for _ in range(4):
            once(folder, method, how)
        until(lambda: look() == before and leaks.are_none())
        after = look()
        assert after == before, (before, after)
        assert leaks.are_none(), leaks.found

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("how", ["stop", "kill"])
@methods
def test_nothing_is_left_but_what_the_first_one_needs(program: Program, method: str, how: str) -> None:
    """Managers that come and go leave no descriptor, thread, file or shared memory; at the end of the program nothing."""
    program.run(NOTHING, program.folder, method, how)


FORKED = """
    import os, sys
    from tasker import Config, ProcessBackend, ShutdownError, TaskManager

    def pid(ctx, thing):
        return os.getpid()

    if __name__ == "__main__":
        with TaskManager(Config(on_create=object, worker_count=1, backend=ProcessBackend())) as manager:
            manager.queue_task(pid)
            forked = os.fork()
            if forked == 0:
                try:
                    manager.queue_task(pid)
                except ShutdownError:
                    os._exit(7)
                os._exit(8)
            _, status = os.waitpid(forked, 0)
            assert os.waitstatus_to_exitcode(status) == 7, status
            manager.queue_task(pid)
"""


def test_a_fork_of_the_parent(program: Program) -> None:
    """In a forked copy the manager refuses work; the original goes on undisturbed by the copy's end."""
    source = "\n    import warnings; warnings.simplefilter('ignore', DeprecationWarning)" + FORKED
    program.run(source)


HANGING = """
    import os, signal, sys, time
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskKilled, TaskManager

    def main(end):
        Path("endless.py").write_text("import time; open('importing', 'w').close(); time.sleep(1000)")
        sys.path.insert(0, os.getcwd())
        manager = TaskManager(Config(on_create=object, worker_count=1, ready_timeout=100, resource_pool_size=0,
                                     backend=ProcessBackend(preload=["endless"])))
        future = manager.submit(print)
        while not os.path.exists("importing"):
            time.sleep(0.005)
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        manager.kill(1)
        try:
            future.result(10)
        except TaskKilled:
            print("killed")

    if __name__ == "__main__":
        main(*sys.argv[1:])
"""


@pytest.mark.parametrize("end", ["killed", "kill"])
def test_a_preloaded_module_that_hangs(program: Program, end: str) -> None:
    """Neither `kill` nor the death of the parent leaves it behind."""
    process = program.start(HANGING, end)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (-signal.SIGKILL if end == "killed" else 0, ""), out + err
    assert out == ("" if end == "killed" else "killed\n")
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")


NO_GRACE = """
    import os, signal, sys
    from functools import partial
    from processes import work
    from support.files_between_processes import Notes
    from tasker import Config, ProcessBackend, TaskManager

    manager = TaskManager(Config(
        on_create=partial(work.make, Notes(sys.argv[1] + "/notes")), on_destroy=work.Thing.end, worker_count=1,
        resource_pool_size=0, backend=ProcessBackend(), cancel_grace=float(sys.argv[2]),
    ))
    manager.queue_task(work.echo, 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("grace", [0, 1e12])
def test_any_grace_leaves_time_for_the_resource(program: Program, grace: float) -> None:
    """The grace is for the tasks: an idle child destroys its resource also where it is 0, or endless."""
    process = program.start(NO_GRACE, program.folder, grace)
    process.communicate(timeout=60)
    wait_until(lambda: not program.left(), WAIT, f"no process is left: {program.left()}")
    notes = Notes(str(program.folder / "notes"))
    assert sorted(notes.lines("destroy")) == sorted(notes.lines("create")) != []


RUDE = """
    import os, sys
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskManager

    if __name__ == "__main__":
        Path("rude.py").write_text(sys.argv[1])
        sys.path.insert(0, os.getcwd())
        backend = ProcessBackend(preload=["rude"])
        with TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)) as manager:
            print(manager.queue_task(lambda ctx, resource: 7))
"""


@pytest.mark.parametrize("source", ["import sys; sys.exit(3)", "import sys; sys.stdout = object()"])
def test_a_preloaded_module_with_bad_manners(program: Program, source: str) -> None:
    """One that ends the program, or replaces its output, does no harm; that it could not be imported is shown."""
    process = program.start(RUDE, source)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "7\n"), out + err
    assert ("SystemExit: 3" in err) == ("exit" in source), err
    program.check_nothing_is_left()
