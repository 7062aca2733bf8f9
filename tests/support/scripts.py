"""Runs source code in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def command(source: str, *flags: str) -> list[str]:
    """Return the command line that runs `source`."""
    return [sys.executable, *flags, "-c", textwrap.dedent(source)]


def run_script(source: str, *flags: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `source` to its end; fail after `timeout` seconds."""
    try:
        return subprocess.run(command(source, *flags), capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as hung:
        raise AssertionError(f"the script hangs; so far: {hung.stdout!r}, errors: {hung.stderr!r}") from None
