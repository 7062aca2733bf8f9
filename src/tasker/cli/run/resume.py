"""Going on with the output of a run that ended early.

A line belongs to an item: an index together with the input that the line shows. Of several lines of one item, the last
one counts. An item is skipped if its last line says done, so a changed input is noticed item by item. Lines of items that
the inputs do not hold are kept: their results may have been expensive, and the inputs may have been the wrong ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress

from tasker.cli.exit_codes import UsageError

from . import result_lines
from .jobs import JobVersion
from .output import LineFile, OutputError
from .resume_ledger import ResumeLedger

TELL_EVERY = 1 << 16
"""Lines between two calls that tell how much has been read."""


def load_ledger(
    file: LineFile,
    version: JobVersion,
    tell: Callable[[int], object] = lambda bytes_read: None,
    *,
    mend: bool = True,
) -> ResumeLedger:
    """Reads the lines of an output. Calls ``tell`` now and then. ``mend``: cuts off a last line that is incomplete.

    Raises UsageError, and leaves the file as it is, if it holds anything but results.
    """
    if not file.is_regular:
        raise UsageError(f"--resume needs a regular file, and {file.name} is not one")
    ledger = ResumeLedger()
    load_line, parse, current = ledger.load_line, result_lines.parse, str(version)
    for number, line in enumerate(file.lines(mend=mend), 1):
        parsed = parse(line)
        if parsed is None:
            raise UsageError(f"{file.name} line {number} is not a result of tasker run; nothing was changed")
        index, fingerprint, is_done, made_by = parsed
        load_line(index, fingerprint, is_done)
        if made_by != current and is_done and made_by:
            ledger.other_file += made_by.partition("-")[0] != version.file
            ledger.other_settings += made_by.partition("-")[2] != version.settings
        if not number % TELL_EVERY:
            tell(file.position)
    return ledger


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
            stream.writelines(file.packed(_kept(file, ledger, prune)))
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


def _kept(file: LineFile, ledger: ResumeLedger, prune: bool) -> Iterator[bytes]:
    for line in file.lines():
        parsed = result_lines.parse(line)
        assert parsed is not None  # each line was checked before, or written by this run
        item = parsed.index, parsed.fingerprint
        if ledger.count_off_line(*item) and (not prune or ledger.is_current(*item)):
            yield line
