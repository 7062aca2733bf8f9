"""A frozen program, whose executable is the program itself."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tasker import ResourceError
from tasker.process.fork_server import FROZEN
from tasker.process.parent.fork_server_client import ForkServerClient

PROGRAM = """
import os, subprocess, sys
from pathlib import Path

folder = Path(__file__).parent
with open(folder / "starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
sys.frozen = True
sys.executable = str(folder / "program")


def freeze_support():
    # What PyInstaller puts in place of that of multiprocessing.
    flags = subprocess._args_from_interpreter_flags()
    begins = "from multiprocessing.resource_tracker import main", "from multiprocessing.forkserver import main"
    if len(sys.argv) >= 2 and sys.argv[-2] == "-c" and sys.argv[-1].startswith(begins):
        if set(sys.argv[1:-2]) == set(flags):
            exec(sys.argv[-1])
            sys.exit()


freeze_support()
import tasker


def double(ctx, resource, number):
    return 2 * number


config = tasker.Config(on_create=dict, worker_count=2, max_worker_count=2, resource_pool_size=0, backend=tasker.ProcessBackend(start_method="METHOD"))
with tasker.TaskManager(config) as manager:
    print([*manager.map(double, range(5))])
"""


def run(folder: Path, method: str) -> subprocess.CompletedProcess[str]:
    """Run the program as if it was frozen."""
    source = textwrap.dedent(PROGRAM).replace("METHOD", method)
    (folder / "program.py").write_text(source)
    executable = folder / "program"
    executable.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/program.py "$@"\n')
    executable.chmod(0o755)
    return subprocess.run(
        [str(executable)],
        check=False,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_frozen_program(tmp_path: Path, method: str) -> None:
    """It works if it calls ``freeze_support``: it starts again as the fork server, and as each spawned child."""
    done = run(tmp_path, method)
    assert (done.returncode, done.stdout) == (0, "[0, 2, 4, 6, 8]\n"), done.stderr
    starts = len((tmp_path / "starts").read_text().splitlines())
    assert starts == (2 if method == "forkserver" else 4)


def test_a_frozen_program_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it starts again says what is missing, and starts nothing more."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv(FROZEN, "1")
    with pytest.raises(ResourceError, match=r"must call multiprocessing\.freeze_support\(\)"):
        ForkServerClient(())
