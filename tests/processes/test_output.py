"""What a child prints and logs arrives here, with the name of its worker."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import Notes
from support.gates import Gate
from support.waiting import Call, eventually, wait_until
from tasker.logs import GuardedLogger
from tasker.process.parent.output import OutputReader
from tasker.process.protocol.records import pieces

from . import work
from .programs import Program


class Heard:
    """What capsys has seen so far; `out` and `err` grow."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._out = self._err = ""

    def _read(self) -> None:
        got = self._capsys.readouterr()
        self._out += got.out
        self._err += got.err

    @property
    def out(self) -> list[str]:
        """Lines of standard output."""
        self._read()
        return self._out.splitlines()

    @property
    def err(self) -> list[str]:
        """Lines of standard error."""
        self._read()
        return self._err.splitlines()


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str]) -> Heard:
    """Standard output and standard error of this process, as `sys` has them."""
    return Heard(capsys)


def test_lines_arrive_with_the_name(make: Any, heard: Heard) -> None:
    """print in a child is a line on sys.stdout here, writing to sys.stderr one on sys.stderr."""
    with make(name="crew") as m:
        m.queue_task(lambda ctx, thing: print("one\ntwo"))
        m.queue_task(lambda ctx, thing: print("oh", file=sys.stderr))
        wait_until(lambda: "[crew-1] two" in heard.out)
        wait_until(lambda: "[crew-1] oh" in heard.err)
    assert heard.out == ["[crew-1] one", "[crew-1] two"]
    assert heard.err == ["[crew-1] oh"]


def test_it_goes_where_sys_stdout_leads_now(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sys.stdout that was replaced after the manager was made gets the lines."""
    import io

    with make(name="crew") as m:
        m.queue_task(work.pid)
        other = io.StringIO()
        monkeypatch.setattr(sys, "stdout", other)
        m.queue_task(work.say, "here\n")
        wait_until(lambda: other.getvalue() == "[crew-1] here\n")


def test_a_line_without_its_end(make: Any, heard: Heard) -> None:
    """Pieces of a line make one line; the last one arrives at the end though nothing ends it."""
    with make(name="crew") as m:
        for piece in ("a", "b", "c\nd"):
            m.queue_task(work.say, piece)
        wait_until(lambda: heard.out == ["[crew-1] abc"])
    wait_until(lambda: heard.out == ["[crew-1] abc", "[crew-1] d"])


def test_two_workers_do_not_mix(make: Any, heard: Heard) -> None:
    """Each line is whole and of one worker."""

    def talk(ctx: Any, thing: Any, letter: str) -> None:
        for _ in range(200):
            print(letter * 300)

    with make(name="crew", worker_count=2) as m:
        for future in [m.submit(talk, letter) for letter in "abcd"]:
            future.result(60)
    wait_until(lambda: len(heard.out) == 800)
    for line in heard.out:
        name, _, text = line.partition(" ")
        assert name in ("[crew-1]", "[crew-2]")
        assert len(text) == 300
        assert len({*text}) == 1


def test_whatever_writes(make: Any, heard: Heard) -> None:
    """The descriptors themselves are caught: os.write, programs that the task starts, text that is none."""

    def write(ctx: Any, thing: Any) -> None:
        os.write(1, b"raw\n")
        os.write(2, b"raw too\n")
        subprocess.run(["echo", "from a program"], check=True)
        os.write(1, b"\xff\xfe broken\n")

    with make(name="crew") as m:
        m.queue_task(write)
    wait_until(lambda: len(heard.out) == 3)
    assert heard.out[:2] == ["[crew-1] raw", "[crew-1] from a program"]
    assert heard.out[2].endswith(" broken")
    assert heard.err == ["[crew-1] raw too"]


@pytest.mark.parametrize("how", ["SIGKILL", "segfault", "3"])
def test_last_words(make: Any, heard: Heard, how: str) -> None:
    """What was written before the death arrives."""

    def crash(ctx: Any, thing: Any) -> None:
        os.write(1, b"last words\n")
        work.die(how)

    with make(name="crew") as m:
        m.submit(crash, once=True).exception(30)
        wait_until(lambda: "[crew-1] last words" in heard.out)


def test_a_flood(make: Any, heard: Heard) -> None:
    """Far more than a pipe holds, in a task that is waited for: nobody blocks, nothing is lost."""

    def flood(ctx: Any, thing: Any) -> int:
        for number in range(20_000):
            print(number)
        sys.stdout.write("x" * 1_000_000)
        return 20_000

    with make(name="crew") as m:
        assert m.queue_task(flood) == 20_000
    wait_until(lambda: len(heard.out) >= 20_001)
    assert heard.out[:20_000] == [f"[crew-1] {number}" for number in range(20_000)]
    assert sum(line.count("x") for line in heard.out) == 1_000_000


def test_a_broken_stdout_harms_nobody(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sys.stdout that is closed, missing or raises does not stop the task or the manager."""

    class Broken:
        """Raises."""

        def write(self, text: str) -> int:
            raise OSError("no space left")

        def flush(self) -> None:
            raise OSError("no space left")

    with make() as m:
        for stdout in (Broken(), None):
            monkeypatch.setattr(sys, "stdout", stdout)
            for _ in range(3):
                m.queue_task(work.say, "unheard\n" * 1000)
            monkeypatch.undo()
        assert m.queue_task(work.echo, "alive") == "alive"


def test_output_of_the_hooks(make: Any, heard: Heard, notes: Notes) -> None:
    """on_create and on_destroy are heard too."""

    def create(notes: Notes) -> work.Thing:
        print("made")
        return work.make(notes)

    def destroy(thing: work.Thing) -> None:
        thing.end()
        print("ended")

    with make(name="crew", on_create=partial(create, notes), on_destroy=destroy) as m:
        m.queue_task(work.pid)
    wait_until(lambda: heard.out == ["[crew-1] made", "[crew-1] ended"])


# Logging.


class KeepingHandler(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


@pytest.fixture
def shop() -> Iterator[KeepingHandler]:
    """What the logger "shop.till" of this process handles."""
    logger, handler = logging.getLogger("shop.till"), KeepingHandler()
    level = logger.level
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def sell(ctx: Any, thing: Any, *args: Any, level: int = logging.WARNING) -> None:
    """Log in the child."""
    logging.getLogger("shop.till").log(level, "sold %s for %s", *args)


def test_log_records_arrive(make: Any, shop: KeepingHandler) -> None:
    """At the logger of the same name, with message, level, place and the name of the worker as process name."""
    with make(name="crew") as m:
        pid = m.queue_task(work.pid)
        m.queue_task(sell, "tea", 3)
        wait_until(lambda: shop.records)
    (record,) = shop.records
    assert record.getMessage() == "sold tea for 3"
    assert (record.name, record.levelno) == ("shop.till", logging.WARNING)
    assert record.processName == "crew-1"
    assert record.process == pid
    assert record.funcName == "sell"
    assert record.filename == "test_output.py"


def test_a_logged_error_shows_its_traceback(make: Any, shop: KeepingHandler) -> None:
    """logger.exception in the child has its traceback here, as text."""

    def fail(ctx: Any, thing: Any) -> None:
        try:
            raise work.Loud(3, unit="dB")
        except work.Loud:
            logging.getLogger("shop.till").exception("it failed")

    with make() as m:
        m.queue_task(fail)
        wait_until(lambda: shop.records)
    text = logging.Formatter().format(shop.records[0])
    assert "it failed" in text
    assert "Traceback (most recent call last)" in text
    assert "Loud: 3 dB" in text


def test_records_with_things_that_cannot_travel(make: Any, shop: KeepingHandler) -> None:
    """The message is made where the arguments are."""

    def log(ctx: Any, thing: Any) -> None:
        logging.getLogger("shop.till").warning("a %s", threading.Lock(), extra={"lock": threading.Lock(), "order": 7})

    with make() as m:
        m.queue_task(log)
        wait_until(lambda: shop.records)
    assert "lock" in shop.records[0].getMessage()


def test_a_record_that_is_wrong_harms_nobody(make: Any, shop: KeepingHandler, capsys: Any) -> None:
    """As in one process, a bad format string does not reach the one who logs."""

    def log(ctx: Any, thing: Any) -> str:
        logging.getLogger("shop.till").warning("%d", "no number")
        return "done"

    with make() as m:
        assert m.queue_task(log) == "done"
        assert m.queue_task(work.echo, "alive") == "alive"
    shop.records.clear()


def test_a_handler_that_raises_harms_nobody(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of this process that raises does not stop the manager."""

    class Raising(logging.Handler):
        """Raises."""

        def emit(self, record: logging.LogRecord) -> None:
            """Raise."""
            raise OSError("disk is full")

    logger, handler = logging.getLogger("shop.till"), Raising()
    logger.addHandler(handler)
    try:
        with make() as m:
            for _ in range(3):
                m.queue_task(sell, "tea", 3)
            assert m.queue_task(work.echo, "alive") == "alive"
    finally:
        logger.removeHandler(handler)


def test_a_record_that_makes_a_handler_raise_takes_no_other_with_it(shop: KeepingHandler) -> None:
    """Those that have come together with it, and one that cannot be read, are handled all the same; each fault is counted."""

    class Refusing(logging.Filter):
        """Raises at a bad record."""

        def filter(self, record: logging.LogRecord) -> bool:
            """Raise."""
            if record.msg == "bad":
                raise OSError("disk is full")
            return True

    def packed(pickled: bytes) -> bytes:
        (piece,) = pieces(pickled, 1)
        return piece

    def record(text: str) -> bytes:
        return packed(pickle.dumps({"name": "shop.till", "levelno": logging.WARNING, "msg": text, "args": ()}))

    faults: list[None] = []
    shop.addFilter(Refusing())
    reader = OutputReader("crew", GuardedLogger(logging.getLogger("crew"), "crew", lambda: faults.append(None)))
    ends = reader.pipes("crew-1", lambda told: None)
    os.write(ends[2], record("first") + record("bad") + packed(b"no pickle") + record("last"))
    for end in ends:
        os.close(end)
    Call(reader.close).outcome(30)
    assert [each.getMessage() for each in shop.records] == ["first", "last"]
    assert len(faults) == 2


class Hanging(logging.Filter):
    """Does not come back before the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def filter(self, record: logging.LogRecord) -> bool:
        """Hang."""
        self.gate.pass_through()
        return True


def ends_of(name: str) -> list[str]:
    """The threads that show the output of this manager, and that wait for that."""
    return [thread.name for thread in threading.enumerate() if thread.name in (f"{name}-output", f"{name}-finish")]


def test_a_kill_while_a_handler_hangs(make: Any, shop: KeepingHandler) -> None:
    """It returns by its deadline, the manager has ended, and what was left goes on by itself."""
    hanging = Hanging()
    shop.addFilter(hanging)
    with make(name="hung") as m:
        m.queue_task(sell, "tea", 3)
        hanging.gate.wait_arrivals(1)
        Call(m.kill, 0.2).outcome(20)
        assert m._engine.finished.is_set()
        assert ends_of("hung") == ["hung-output", "hung-finish"]
    hanging.gate.open()
    wait_until(lambda: not ends_of("hung"))
    assert len(shop.records) == 1


async def test_a_kill_in_a_loop_while_a_handler_hangs(amake: Any, shop: KeepingHandler) -> None:
    """The same, and the loop goes on meanwhile."""
    hanging = Hanging()
    shop.addFilter(hanging)
    too_late = threading.Timer(20, hanging.gate.open)
    too_late.start()
    async with amake(name="hung") as m:
        await m.queue_task(sell, "tea", 3)
        await eventually(lambda: hanging.gate.arrived)
        await m.kill(0.2)
        assert m._engine.finished.is_set()
        assert ends_of("hung") == ["hung-output", "hung-finish"]
    too_late.cancel()
    hanging.gate.open()
    await eventually(lambda: not ends_of("hung"))
    assert len(shop.records) == 1


async def test_a_handler_that_needs_the_loop(amake: Any, shop: KeepingHandler) -> None:
    """A stop waits until all is shown, and does not hold up the loop meanwhile."""
    loop, answers = asyncio.get_running_loop(), []

    class Asking(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            answers.append(asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1, "answer"), loop).result(20))
            return True

    shop.addFilter(Asking())
    async with amake(name="slow") as m:
        for _ in range(3):
            await m.queue_task(sell, "tea", 3)
    assert answers == ["answer"] * 3
    await eventually(lambda: not ends_of("slow"))  # the thread that tells of the end ends a moment later


def test_the_level_of_this_process_decides(make: Any, shop: KeepingHandler) -> None:
    """A record below the level of the logger here is not handled; one at it is."""
    logging.getLogger("shop.till").setLevel(logging.ERROR)
    with make() as m:
        m.queue_task(sell, "tea", 1)
        m.queue_task(partial(sell, level=logging.ERROR), "cake", 2)
        wait_until(lambda: shop.records)
    assert [record.getMessage() for record in shop.records] == ["sold cake for 2"]


class Refilling:
    """A stream that writes another line into the pipe whenever one is shown."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def write(self, text: str) -> None:
        """Write another line."""
        os.write(self.pipe, b"more\n")

    def flush(self) -> None:
        """Nothing."""


def test_a_program_that_writes_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a child has left does not keep the manager from stopping, though there is always more to read."""
    reader = OutputReader("crew", GuardedLogger(logging.getLogger("crew"), "crew", lambda: None))
    ends = reader.pipes("crew-1", lambda told: None)
    monkeypatch.setattr(sys, "stdout", Refilling(ends[0]))
    try:
        os.write(ends[0], b"first\n")
        Call(reader.close).outcome(30)
    finally:
        monkeypatch.undo()
        for end in ends:
            os.close(end)


LATIN = """
from tasker import Config, ProcessBackend, TaskManager

with TaskManager(Config(on_create=dict, worker_count=1, backend=ProcessBackend())) as manager:
    manager.queue_task(lambda ctx, resource: print("caf\\xe9 \\u20ac"))
"""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1:backslashreplace"])
def test_the_encoding_of_what_a_child_prints(program: Program, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """Its output is as if it were printed here, into a file as well."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for folder in ("pipe", "file"):
        command = [sys.executable, "-c", LATIN]
        out = (program.folder / folder).open("wb") if folder == "file" else subprocess.PIPE
        done = subprocess.run(command, env=program.environment, stdout=out, check=True, timeout=60)
        printed = done.stdout if folder == "pipe" else (program.folder / folder).read_bytes()
        name, _, options = encoding.partition(":")
        assert printed.removeprefix(b"[tasker-1] ") == "caf\xe9 \u20ac\n".encode(name, options or "strict"), printed
        if folder == "file":
            out.close()
