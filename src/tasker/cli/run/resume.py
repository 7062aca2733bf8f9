"""Going on with the output of a run that ended early.

A line belongs to an item: an index together with the input that the line shows. Of several lines of one item, the last
one counts. An item is skipped if its last line says done, so a changed input is noticed item by item. Lines of items that
the inputs do not hold are kept: their results may have been expensive, and the inputs may have been the wrong ones.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from tasker.cli import strict_json
from tasker.cli.exit_codes import UsageError

from .jobs import JobVersion
from .output import LineFile, OutputError
from .records import DONE, FAILED
from .resume_ledger import ResumeLedger

_PLAIN_INPUT = re.compile(r'\{"index": \d+, "input": ("[^"\\\x00-\x1f]*"|0|-?[1-9][0-9]*), "status": ')
"""The beginning of a line whose input is a text without escapes, or a whole number: their JSON is always the same."""


class Line(NamedTuple):
    """What a line of an output says of its item."""

    index: int  # type: ignore[assignment]  # over the method of tuples, which nobody calls here
    fingerprint: int
    is_done: bool
    version: str  # of the job that made it; "" if the line does not say


def load_ledger(file: LineFile, version: JobVersion) -> ResumeLedger:
    """Reads the lines of an output, and cuts off a last line that is incomplete.

    Raises UsageError, and leaves the file as it is, if it holds anything but results.
    """
    if not file.is_regular:
        raise UsageError(f"--resume needs a regular file, and {file.name} is not one")
    ledger = ResumeLedger()
    end, current = 0, str(version)
    for number, line in enumerate(_lines(file.path), 1):
        if not line.endswith(b"\n"):
            file.truncate(end)
            break
        parsed = _parse(line)
        if parsed is None:
            raise UsageError(f"{file.name} line {number} is not a result of tasker run; nothing was changed")
        ledger.load_line(parsed.index, parsed.fingerprint, parsed.is_done)
        if parsed.is_done and parsed.version and parsed.version != current:
            made_by, _, settings = parsed.version.partition("-")
            ledger.other_file += made_by != version.file
            ledger.other_settings += settings != version.settings
        end += len(line)
    return ledger


def _lines(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        yield from stream


def _parse(line: bytes) -> Line | None:
    """Returns what a line says; None if it is not a result."""
    try:
        decoded = line.decode()
        record = strict_json.decode(decoded[:-1])
        index, status, match = record["index"], record["status"], _PLAIN_INPUT.match(decoded)
        # Otherwise encoded anew, and so in the form in which fingerprints of items are taken.
        text = match[1] if match else strict_json.encode(record["input"])
        if not _is_index(index) or status not in (DONE, FAILED):
            return None
        return Line(index, strict_json.fingerprint(text), status == DONE, str(record.get("job") or ""))
    except (ValueError, RecursionError, TypeError, KeyError):
        return None


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def compact(file: LineFile, ledger: ResumeLedger, prune: bool) -> None:
    """Rewrites a file with one line for each item, with `prune` only for those that the inputs hold.

    Raises OutputError, and leaves the file as it is, if that fails.
    """
    target = os.path.realpath(file.path)  # through a link: replace the file, not the link
    temporary = f"{target}.tasker-tmp"
    try:
        # Through a temporary file: a run that is killed here leaves either the old file, whose
        # superseded lines the next --resume drops, or the new one.
        with open(temporary, "wb") as stream:
            stream.writelines(_kept(target, ledger, prune))
            stream.flush()
            # Before the replacement: otherwise a crash of the machine might leave an empty file.
            os.fsync(stream.fileno())
            shutil.copymode(target, temporary)
            os.replace(temporary, target)
            file.was_replaced = True
    except OSError as error:
        raise OutputError(file.name, error) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _kept(path: str, ledger: ResumeLedger, prune: bool) -> Iterator[bytes]:
    for line in _lines(path):
        parsed = _parse(line)
        assert parsed is not None  # each line was checked before, or written by this run
        item = parsed.index, parsed.fingerprint
        if ledger.count_off_line(*item) and (not prune or ledger.is_current(*item)):
            yield line
