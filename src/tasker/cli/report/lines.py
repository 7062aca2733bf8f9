"""The lines of an output: results, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tasker.cli import strict_json
from tasker.cli.compression import codec_of
from tasker.cli.sources import ByteLines

MOST_TOLD = 20
"""Lines that are no results, of which the place and the reason are kept."""


class ResultLine(NamedTuple):
    """What a line says of its item. The times are seconds; ``None`` where the line has none."""

    # A tuple: one is made for each line.

    index: int  # type: ignore[assignment]  # over the method of tuples, which nobody calls here
    input: Any
    is_done: bool
    attempts: int
    wait: float | None
    execution: float | None
    started: float | None
    """Seconds since 1970."""
    worker: str | None
    error: dict[str, Any] | None
    earlier: list[dict[str, Any]]
    job: str


class Problem(NamedTuple):
    """A line that is no result."""

    number: int
    """From 1."""
    reason: str


class NotAResult(Exception):
    """A line is no result of ``tasker run``."""


class ResultLines:
    """The results in a file, or in standard input ("-"). Raises UsageError if it cannot be read. For one thread.

    What is no result is counted and passed over. A file that cannot be read to its end ends where that shows, as a problem.
    """

    def __init__(self, path: str) -> None:
        self._lines = ByteLines(path)
        codec = codec_of(path)
        self._damage: tuple[type[Exception], ...] = (OSError, EOFError, *(() if codec is None else (codec.error,)))
        """What reading raises where it cannot go on."""
        self.problems: list[Problem] = []
        """The first ones."""
        self.foreign: int = 0
        """How many lines were no results."""
        self.read: int = 0
        """How many lines were."""
        self.broken_off: bool = False
        """Whether the last line is incomplete, or the file could not be read to its end."""

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self._lines.name

    @property
    def share(self) -> float | None:
        """How much of the file was read, 0 to 1; ``None`` if its size is unknown."""
        return self._lines.position / self._lines.size if self._lines.size else None

    def __iter__(self) -> Iterator[ResultLine]:
        try:
            for line in self._lines:
                if line.isspace():
                    continue
                try:
                    result = parse(line)
                except NotAResult as error:
                    self._note(line, str(error))
                else:
                    self.read += 1
                    yield result
        except self._damage as error:
            self.broken_off = True
            self._add(self._lines.number + 1, f"the file cannot be read from here on: {error}")

    def _note(self, line: bytes, reason: str) -> None:
        if not line.endswith(b"\n"):
            self.broken_off = True
            self._add(self._lines.number, "the last line is incomplete")
            return
        self.foreign += 1
        self._add(self._lines.number, reason)

    def _add(self, number: int, reason: str) -> None:
        # The end of the file is told in any case.
        if len(self.problems) < MOST_TOLD or self.broken_off:
            self.problems.append(Problem(number, reason))


def parse(line: bytes) -> ResultLine:
    """Returns what a line says. Raises NotAResult if it is none."""
    try:
        record = strict_json.decode(line.decode().rstrip())
    except (ValueError, RecursionError) as error:
        raise NotAResult(f"not JSON: {error}") from None
    try:
        index, status = record["index"], record["status"]
        get = record.get
        result = ResultLine(
            index,
            record["input"],
            status == "done",
            get("attempts", 0),
            get("wait_s"),
            get("execution_s"),
            get("started_at"),
            get("worker"),
            get("error"),
            get("earlier", []),
            get("job", ""),
        )
    except (TypeError, AttributeError):
        raise NotAResult("not an object") from None
    except KeyError as error:
        raise NotAResult(f"no field {error}: not a result of tasker run") from None
    _check(result, status)
    return result


_MOST = 1e12
"""Seconds; no time that a result says is longer."""


def _check(result: ResultLine, status: Any) -> None:
    """Raises NotAResult if a field is not of its type."""
    index, _, is_done, attempts, wait, execution, started, worker, error, earlier, job = result
    if not is_done and status != "failed":
        raise NotAResult(f"the status is neither done nor failed, but {_shown(status)}")
    # Type by type, because `isinstance(True, int)`.
    if type(index) is not int or type(attempts) is not int:
        raise NotAResult("index and attempts must be whole numbers")
    # Nearly always, they are.
    if not (
        type(wait) is type(execution) is type(started) is float
        and 0.0 <= wait < _MOST > execution >= 0.0 <= started < _MOST
    ):
        _check_times({"wait_s": wait, "execution_s": execution, "started_at": started})
    if worker is not None and type(worker) is not str:
        raise NotAResult(f"worker must be null or text, not {_shown(worker)}")
    if type(earlier) is not list or type(job) is not str or (error is not None and type(error) is not dict):
        raise NotAResult("earlier must be an array, job text, and error an object")
    if not is_done and error is None:
        raise NotAResult("failed, but without an error")


def _check_times(times: dict[str, Any]) -> None:
    for name, value in times.items():
        if value is not None and not (type(value) in (int, float) and 0 <= value < _MOST):
            raise NotAResult(f"{name} must be null or seconds, not {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
