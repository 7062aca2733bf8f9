"""Builds the wheel and tries it where the source is out of reach: its files, its typing marker, its command, an example."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    return subprocess.run([*map(str, command)], check=True, cwd=cwd, stdout=subprocess.PIPE, text=True).stdout


def build(folder: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("tasker_pool-*.whl")
    return wheel


def check_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    source = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    page = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").glob("tasker/**/static/*")}
    assert {"tasker/dashboard/static/uplot.LICENSE", "tasker/cli/offline/static/page.html"} <= page
    missing = (source | page | {"tasker/py.typed"}) - set(names)
    surplus = [name for name in names if not name.startswith(("tasker/", "tasker_pool-"))]
    assert not missing, f"not in the wheel: {sorted(missing)}"
    assert not surplus, f"should not be in the wheel: {surplus}"
    check_entry_points(zipfile.ZipFile(wheel))
    assert any(name.endswith("/licenses/LICENSE") for name in names), "the licence is not in the wheel"


def check_entry_points(files: zipfile.ZipFile) -> None:
    (name,) = [name for name in files.namelist() if name.endswith(".dist-info/entry_points.txt")]
    text = files.read(name).decode()
    for line in ("tasker = tasker.cli:main", "tasker = tasker.testing.plugin"):
        assert line in text.splitlines(), f"{line!r} is not among the entry points:\n{text}"


def check_installed(wheel: Path, folder: Path) -> None:
    """Install it alone, without any dependency: the core has none."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    where = run(python, "-c", "import tasker; print(tasker.__file__)", cwd=folder)
    assert str(folder) in where, where
    run(python, ROOT / "examples" / "basic.py", cwd=folder)
    # What users test with needs no pytest; with pytest, which is borrowed from here, its plugin is found.
    run(python, "-c", "from tasker.testing import *", cwd=folder)
    borrowed = f"import sys; sys.path += {[path for path in sys.path if path.endswith('site-packages')]}"
    options = run(python, "-c", f"{borrowed}; import pytest; pytest.main(['--help'])", cwd=folder)
    assert "--tasker-leaks" in options, options
    usage = run(folder / "venv" / "bin" / "tasker", "--help", cwd=folder)
    assert "run" in usage, usage


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tasker-wheel-") as name:
        folder = Path(name).resolve()
        wheel = build(folder)
        check_files(wheel)
        check_installed(wheel, folder)
        print(f"{wheel.name}: builds, installs without dependencies, and works")


if __name__ == "__main__":
    main()
