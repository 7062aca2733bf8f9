"""How much of the memory is in use: of the machine's, or of a container's limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasker.core.memory import memory_use

MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n"


def files(root: Path, **content: str) -> Path:
    """A root with these files; `__` stands for a slash, `_dot_` for a dot."""
    for name, text in content.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


def test_not_known(tmp_path: Path) -> None:
    """Where the files of Linux are absent, nothing is known."""
    assert memory_use(tmp_path) is None


def test_here() -> None:
    """On the machine of the test it is a share, if it is known."""
    share = memory_use()
    assert share is None or 0.0 <= share <= 1.0


def test_the_machine(tmp_path: Path) -> None:
    """Without a control group it is the machine's memory that is not available."""
    assert memory_use(files(tmp_path, proc__meminfo=MEMINFO)) == pytest.approx(0.4)
    assert memory_use(files(tmp_path, proc__meminfo="MemTotal: many\n")) is None


def test_a_container(tmp_path: Path) -> None:
    """The limit of the process's own group counts, or of one above it, without the cache that can be dropped."""
    root = files(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/pod/web\n",
        sys__fs__cgroup__pod__memory_dot_max="1000\n",
        sys__fs__cgroup__pod__memory_dot_current="900\n",
        sys__fs__cgroup__pod__memory_dot_stat="anon 100\ninactive_file 200\n",
        sys__fs__cgroup__pod__web__memory_dot_max="max\n",
        sys__fs__cgroup__pod__web__memory_dot_current="800\n",
    )
    assert memory_use(root) == pytest.approx(0.7)


def test_version_1(tmp_path: Path) -> None:
    """The groups of version 1 are found by their controller; the path outside of a container does no harm."""
    root = files(
        tmp_path,
        proc__self__cgroup="5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
        sys__fs__cgroup__memory__memory_dot_limit_in_bytes="2000",
        sys__fs__cgroup__memory__memory_dot_usage_in_bytes="1500",
        sys__fs__cgroup__memory__memory_dot_stat="total_inactive_file 500\n",
    )
    assert memory_use(root) == pytest.approx(0.5)
