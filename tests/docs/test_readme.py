"""The code in README.md and docs/*.md runs, and prints what the page says it prints.

The conventions are in CONTRIBUTING.md: a `python` block is complete in itself; a `text` block right after one is what it
prints; a block that begins with `# name.py` is a file for the page's commands; `sh` blocks are run in the page's own folder.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tasker

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_CARRIED_OUT = ("make", "pip", "git", "cd")
# Runs a script with what the library logs as an error on standard error, where an `on_destroy` that fails would show.
LOUDLY = (
    "import logging, runpy, sys; logging.basicConfig(level=logging.ERROR); del sys.argv[0];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    code: str
    prints: str | None = None

    @property
    def file_name(self) -> str | None:
        named = re.match(r"# ([\w.-]+\.py)\n", self.code)
        return named[1] if named else None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    end = 0
    for found in FENCE.finditer(text):
        language, code = found["language"], found["code"]
        if language == "text" and blocks and blocks[-1].language == "python" and not text[end : found.start()].strip():
            blocks[-1] = dataclasses.replace(blocks[-1], prints=code)
        else:
            blocks.append(Block(page, text.count("\n", 0, found.start()) + 1, language, code))
        end = found.end()
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "sh"]


def environment() -> dict[str, str]:
    """The environment of a user who has the project's scripts on the path."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"], "PYTHONWARNINGS": "error"}


def test_the_readme_has_code_to_run() -> None:
    assert len([block for block in PYTHON if block.page.name == "README.md"]) >= 10
    assert any("tasker run" in block.code for block in SHELL if block.page.name == "README.md")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_runs_by_itself(block: Block, tmp_path: Path) -> None:
    script = tmp_path / (block.file_name or "block.py")
    script.write_text(block.code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOUDLY, str(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    assert done.stderr == ""
    if block.prints is not None:
        assert done.stdout == block.prints


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_shell_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    for block in blocks_of(page):
        if block.file_name:
            (tmp_path / block.file_name).write_text(block.code, encoding="utf-8")
        if block.language == "sh":
            lines = block.code.splitlines()
            commands = [line for line in lines if not line.startswith(NOT_CARRIED_OUT)]
            run_shell("\n".join(["set -euo pipefail", *commands]), block, tmp_path)


def run_shell(script: str, block: Block, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


def lines_with(command: str) -> list[str]:
    return [line for block in SHELL for line in block.code.splitlines() if line.split()[:1] == [command]]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("line", lines_with("make"))
def test_a_make_command_names_a_target(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=10, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", lines_with("pip"))
def test_a_pip_command_names_this_distribution_and_its_extras(line: str) -> None:
    metadata = importlib.metadata.metadata("tasker-pool")
    for requirement in shlex.split(line, comments=True)[2:]:
        named = re.fullmatch(r"tasker-pool(?:\[([\w,-]+)\])?", requirement)
        assert named, line
        assert set((named[1] or "").split(",")) - {""} <= set(metadata.get_all("Provides-Extra") or [])


def test_links_to_files_of_the_project_lead_somewhere() -> None:
    for page in PAGES:
        prose = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = page.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table, heading
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_table_of_options_has_every_option_and_its_default() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows_of(ROOT / "README.md", "## Config")}
    fields = {field.name: field for field in dataclasses.fields(tasker.Config) if field.init}
    assert shown.keys() == fields.keys()
    for name, text in shown.items():
        default = fields[name].default
        if isinstance(default, (int, float, str)):
            assert text == repr(default).replace("'", '"'), name


def test_the_pages_of_errors_has_every_error() -> None:
    listed = {row[0].strip("`").partition("(")[0] for row in rows_of(ROOT / "docs" / "errors.md", "## The tree")}
    public = {getattr(tasker, name) for name in tasker.__all__}
    errors = {value.__name__ for value in public if isinstance(value, type) and issubclass(value, tasker.TaskerError)}
    assert listed == errors
