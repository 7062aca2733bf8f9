"""Memory does not grow with the input."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Workshop

# Read when the last resource goes. Not getrusage: its peak counts the parent's memory before exec.
PEAK = """
    from pathlib import Path

    def on_create():
        return "resource"

    def on_destroy(resource):
        status = Path("/proc/self/status").read_text()
        Path("peak").write_text(status.split("VmHWM:")[1].split()[0])

    def task(ctx, resource, item):
        return item[:10]
"""


def peak_of(shop: Workshop, count: int, *options: object) -> int:
    """KiB at the end of a run over so many lines of 200 bytes."""
    with (shop.folder / "in.txt").open("w") as stream:
        stream.writelines(f"{n:0200}\n" for n in range(count))
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", *options, timeout=100)
    assert done.returncode == 0, done.stderr
    assert shop.lines() == count
    return int(shop.read("peak"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
@pytest.mark.timeout(150)
def test_many_lines_in_constant_memory(shop: Workshop) -> None:
    """200,000 lines of 200 bytes, 40 MB, may cost 6 MB more than 5,000 lines do; resuming, too,
    for its eight bytes an item."""
    shop.write("jobs.py", PEAK)
    small = peak_of(shop, 5_000)
    large = peak_of(shop, 200_000, "--overwrite")
    assert large - small < 6 * 1024, f"{small} KiB, then {large} KiB"
    again = peak_of(shop, 200_001, "--resume")
    assert again - small < 10 * 1024, f"{small} KiB, then {again} KiB"
