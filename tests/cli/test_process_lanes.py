"""`tasker run --backend process` sends a child many items at once: each of them keeps a fate of its own."""

from __future__ import annotations

import mmap
import os
import random
import resource
import signal
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tasker.cli.run.chunk_slots import JOURNAL_SIZE, MOST_OPEN, ChildSlot, Slots, slot_at

from .conftest import Workshop, finish, wait_for, wait_for_message

if find_spec("psutil") is None or find_spec("cloudpickle") is None:
    pytest.skip("ProcessBackend needs cloudpickle and psutil", allow_module_level=True)
import psutil

TWO = ("--backend", "process", "--workers", 2, "--max-workers", 2)
# Quick, and writes down each start. One item waits for a file.
TINY = """
    import os, time

    handle = os.open("started", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def task(ctx, resource, item):
        os.write(handle, f"{item}\\n".encode())
        if item == "700":
            while not os.path.exists("go"):
                time.sleep(0.002)
        if item == "crash":
            os._exit(3)
        if item == "raise":
            raise ValueError("no")
        return item
"""


def starts(shop: Workshop) -> Counter[str]:
    path = shop.folder / "started"
    return Counter(path.read_text().split() if path.exists() else ())


def children(process: Any) -> list[psutil.Process]:
    """The processes of the workers: the children of the one that forks them."""
    try:
        return [child for server in psutil.Process(process.pid).children() for child in server.children()]
    except psutil.NoSuchProcess:
        return []


def test_items_behind_a_slow_one_are_run_elsewhere(shop: Workshop) -> None:
    """And those in front of it are written while it runs."""
    shop.write("jobs.py", TINY)
    shop.numbers(1500)
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    wait_for(lambda: shop.lines() == 1499, "all but one")
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 0, errors
    assert shop.results() == {n: str(n) for n in range(1500)}
    assert set(starts(shop).values()) == {1}


def test_only_the_item_that_fails_or_crashes_is_lost(shop: Workshop) -> None:
    """With --once, whatever else its child was sent is started once, and done."""
    shop.write("jobs.py", TINY)
    items = [str(n) for n in range(1000, 2500)]
    items[400:400], items[900:900], items[901:901] = ["crash"], ["raise"], ["crash"]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--once", "--keep-order", "--output", "out.jsonl")
    assert done.returncode == 1, done.stderr
    records = shop.records()
    assert [record["input"] for record in records] == items
    failed = {record["index"]: record["error"]["type"] for record in records if record["status"] == "failed"}
    assert failed == {400: "tasker.errors.WorkerLost", 900: "ValueError", 901: "tasker.errors.WorkerLost"}
    assert all(record["attempts"] == 1 for record in records)
    assert starts(shop) == Counter(items)


def test_a_task_that_forks_and_returns_in_both_processes(shop: Workshop) -> None:
    """The fork ends where the task does: it runs no other item, and leaves the results of the others alone."""
    shop.write(
        "jobs.py",
        """
        import os, time

        handle = os.open("started", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        def task(ctx, resource, item):
            forks = item in ("30", "300")
            if forks and (pid := os.fork()):
                os.waitpid(pid, 0)
            os.write(handle, f"{item}\\n".encode())
            return item
        """,
    )
    shop.numbers(500)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: str(n) for n in range(500)}
    assert {item: times for item, times in starts(shop).items() if times > 1} == {"30": 2, "300": 2}


@pytest.mark.parametrize("limit", [47, 60, 61])
@pytest.mark.parametrize("files", [False, True])
def test_few_descriptors_make_few_workers(shop: Workshop, limit: int, files: bool) -> None:
    """Whatever the workers leave over, the run has all that it needs itself: its inputs, one after the other, among it."""
    shop.write("jobs.py", "def task(ctx, resource, item): return item")
    names = [shop.write(f"parts/{n}", f"parts/{n}\n").name for n in range(20)]
    inputs = ("--files", "parts/*") if files else [f"parts/{name}" for name in names]
    done = shop.run(
        *("run", "jobs.py", *inputs, "--backend", "process", "--workers", 6, "--output", "out.jsonl"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(shop.results().values()) == sorted(f"parts/{name}" for name in names)
    assert "too many child processes" in done.stderr


def test_a_further_attempt_runs_the_item_alone(shop: Workshop) -> None:
    """Its line tells of both attempts, and the child in which it failed is replaced."""
    shop.write(
        "jobs.py",
        TINY
        + """
    def check_health(error):
        return False
""",
    )
    items = ["raise" if n in (300, 600) else str(1000 + n) for n in range(900)]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--retries", 1, "--output", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert starts(shop) == Counter({**dict.fromkeys(items, 1), "raise": 4})
    failed = [record for record in shop.records() if record["status"] == "failed"]
    assert [record["attempts"] for record in failed] == [2, 2]
    for record in failed:
        assert record["error"]["type"] == "tasker.errors.MaxRetriesExceeded"
        (first,) = record["earlier"]
        assert first["attempt"] == 1
        assert first["error"] == {"type": "ValueError", "message": "no"}
        assert 0 <= first["execution_s"] < 1
        assert first["wait_s"] <= record["wait_s"]
    assert len(shop.records()) == 900


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
def test_children_that_are_killed_at_random(shop: Workshop, seed: int) -> None:
    """With --once no item is started twice, none is missing, and each death costs one item at most."""
    chance = random.Random(seed)
    shop.write("jobs.py", TINY)
    items = [str(n) for n in range(10000, 20000)]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--once", "--output", "out.jsonl", "--quiet")
    deaths = 0
    while process.poll() is None and deaths < 8:
        enough = shop.lines() + chance.randrange(1, 1200)
        wait_for(lambda: shop.lines() >= enough or process.poll() is not None, "more lines")  # noqa: B023
        for victim in children(process)[:1]:
            victim.kill()
            deaths += 1
    code, errors = finish(process)
    assert code in (0, 1), errors
    records = shop.records()
    assert sorted(record["input"] for record in records) == items, "each has one line"
    failed = [record for record in records if record["status"] == "failed"]
    assert len(failed) <= deaths
    assert {record["error"]["type"] for record in failed} <= {"tasker.errors.WorkerLost"}
    started = starts(shop)
    assert set(started.values()) == {1}
    # One that was killed before its first line may have started all the same, but not the other way round.
    assert {record["input"] for record in records if record["status"] == "done"} <= set(started)


@pytest.mark.timeout(180)
def test_a_run_that_is_killed_goes_on(shop: Workshop) -> None:
    """What was recorded as done is not started again."""
    chance = random.Random(5)
    shop.write("jobs.py", TINY)
    items = [str(n) for n in range(10000, 30000)]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    command = ("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl", "--resume", "--quiet")
    for _ in range(4):
        recorded = whole_inputs(shop)
        (shop.folder / "started").unlink(missing_ok=True)
        process = shop.start(*command)
        enough = len(recorded) + chance.randrange(1, 3000)
        wait_for(lambda: shop.lines() >= enough or process.poll() is not None, "more lines")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        finish(process)
        assert not recorded & set(starts(shop))
    done = shop.run(*command, timeout=90)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: str(10000 + n) for n in range(20000)}


def whole_inputs(shop: Workshop) -> set[str]:
    path = shop.folder / "out.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return {line.split(b'"input": "')[1].split(b'"')[0].decode() for line in lines}


def test_a_signal_stops_behind_the_item_that_runs(shop: Workshop) -> None:
    """The others get no line, and are not started: --resume runs them."""
    shop.write("jobs.py", TINY)
    shop.numbers(1500)
    command = ("run", "jobs.py", "in.txt", "--backend", "process", "--workers", 1, "--max-workers", 1)
    process = shop.start(*command, "--output", "out.jsonl")
    wait_for(lambda: starts(shop)["700"], "the slow item")
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing 1 running items")
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 130, errors
    assert shop.results() == {n: str(n) for n in range(701)}
    assert starts(shop) == Counter(str(n) for n in range(701))
    done = shop.run(*command, "--output", "out.jsonl", "--resume")
    assert done.returncode == 0, done.stderr
    assert starts(shop) == Counter(str(n) for n in range(1500))


def test_results_that_are_too_large_for_the_journal(shop: Workshop) -> None:
    shop.write("jobs.py", "def task(ctx, r, item):\n    return 'x' * (int(item) % 7 * 200_000)\n")
    shop.numbers(60)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: "x" * (n % 7 * 200_000) for n in range(60)}


def test_items_are_kept_apart(shop: Workshop) -> None:
    """What one sets in its context, or is called back by, is not there for the next one; and texts arrive as they are."""
    shop.write(
        "jobs.py",
        """
        import contextvars

        seen = contextvars.ContextVar("seen", default=None)
        calls = []

        def task(ctx, resource, item):
            before = seen.get()
            if item["n"] % 50 == 0:
                seen.set(item["n"])
                ctx.on_cancel(lambda: calls.append(item["n"]))
                ctx.cancel()
            assert ctx.cancelled == (item["n"] % 50 == 0)
            item["n"] = -1
            return [before, item["text"]]
        """,
    )
    texts = ["plain", "grün", "\\ud800", 'a "quote"', "__main__"]
    lines = [f'{{"n": {n}, "text": "{texts[n % 5]}"}}\n'.replace('a "quote"', 'a \\"quote\\"') for n in range(600)]
    shop.write("in.jsonl", "".join(lines))
    done = shop.run("run", "jobs.py", "in.jsonl", *TWO, "--output", "out.jsonl")
    records = {record["index"]: record for record in shop.records()}
    assert len(records) == 600, done.stderr
    for n, record in records.items():
        assert record["input"]["n"] == n
        if n % 5 == 2:  # it has no form in UTF-8, so it cannot be a result
            assert record["error"]["type"] == "UnserialisableResult"
        else:
            assert record["result"] == [None, ["plain", "grün", "", 'a "quote"', "__main__"][n % 5]]


def test_a_child_without_the_shared_memory_gets_items_one_by_one(shop: Workshop) -> None:
    """As where it has given up the rights to open it."""
    shop.write(
        "jobs.py",
        TINY
        + """
    from tasker.cli.run import child_lane

    def no_slot(address):
        raise PermissionError("not yours")

    child_lane.slot_at = no_slot
""",
    )
    items = [str(n) for n in range(1000, 1100)]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--once", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert starts(shop) == Counter(items)
    assert len(shop.results()) == 100


@pytest.mark.parametrize("named", [False, True])
class TestSlots:
    """Both sides in one process."""

    def test_permits_decide_and_results_stay(self, named: bool) -> None:
        slots = Slots(named=named)
        slot = slots.take()
        slot.grant(5)
        child = ChildSlot(slot.address)
        assert not slot.is_entered
        child.enter()
        assert slot.is_entered
        assert child.claim()
        child.begin(1.5)
        assert slot.started == 1.5
        assert child.add(1.5, 2.5, "ä".encode())
        assert child.claim()
        assert slot.revoke() == 3
        assert not child.claim()
        assert child.add(3.0, 4.0, b"2")
        child.close()
        assert slot.done == 2
        assert list(slot.results(1)) == [(1.5, 2.5, "ä")]
        assert list(slot.results(1)) == [(3.0, 4.0, "2")]
        slot.grant(1)
        assert (slot.done, slot.is_entered, slot.revoke()) == (0, False, 1)
        slots.give_back(slot, again=True)
        slots.close()

    def test_a_slot_is_used_again_unless_its_child_was_lost(self, named: bool) -> None:
        slots = Slots(named=named)
        first, second = slots.take(), slots.take()
        slots.give_back(first, again=True)
        assert slots.take() is first
        slots.give_back(first, again=False)
        third = slots.take()
        assert third.address.number not in (first.address.number, second.address.number)
        for slot in (second, third):
            slots.give_back(slot, again=True)
        slots.close()

    @pytest.mark.skipif(not hasattr(mmap, "MADV_REMOVE"), reason="this system can't give back a part of a file")
    def test_what_is_not_used_again_takes_no_memory(self, named: bool) -> None:
        """However many items fail, each of which costs its chunk."""
        if named:
            pytest.skip("whether it can be given back depends on the file system")
        slots = Slots(named=named)
        for _ in range(20):
            slot = slots.take()
            slot.grant(1)
            child = ChildSlot(slot.address)
            child.enter()
            assert child.add(0.0, 0.0, b"x" * 100_000)
            child.close()
            slots.give_back(slot, again=False)
        assert os.fstat(slots._journals).st_blocks == 0
        slots.close()

    def test_a_full_journal_takes_no_more(self, named: bool) -> None:
        slots = Slots(named=named)
        slot = slots.take()
        slot.grant(3)
        child = ChildSlot(slot.address)
        child.enter()
        text = b"x" * (JOURNAL_SIZE // 2 - 100)
        assert child.add(0.0, 0.0, text)
        assert child.add(0.0, 0.0, text)
        assert not child.add(0.0, 0.0, text)
        assert slot.done == 2
        assert [len(result) for _, _, result in slot.results(2)] == [len(text)] * 2
        child.close()
        slots.give_back(slot, again=True)
        slots.close()

    def test_a_child_keeps_few_of_them_open(self, named: bool) -> None:
        slots = Slots(named=named)
        taken = [slots.take() for _ in range(3 * MOST_OPEN)]
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for slot in taken:
            slot.grant(1)
            child = slot_at(slot.address)
            assert slot_at(slot.address) is child
            child.enter()
            assert child.claim()
        if before:
            assert len(os.listdir("/proc/self/fd")) <= before + 2 * MOST_OPEN
        for slot in taken:
            slots.give_back(slot, again=False)
        slots.close()

    def test_nothing_is_left(self, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        slots = Slots(named=named)
        late = slots.take()
        slots.give_back(slots.take(), again=True)
        assert bool(list(tmp_path.iterdir())) is named
        slots.close()
        slots.give_back(late, again=True)
        assert list(tmp_path.iterdir()) == []
        if before:
            assert len(os.listdir("/proc/self/fd")) == before
