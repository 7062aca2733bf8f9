"""The file of failed inputs: in the inputs' own format, so that it can be fed in again."""

from __future__ import annotations

from tasker.cli.sources import CsvSource

from .inputs import Inputs
from .items import Item
from .output import LineFile


class FailedInputs:
    """Takes the failed items, as they came in."""

    def __init__(self, file: LineFile, inputs: Inputs) -> None:
        self._file = file
        self._csv = next((s for s in inputs.sources if isinstance(s, CsvSource)), None)
        self._is_empty = True

    def write(self, item: Item) -> None:
        if self._is_empty and self._csv is not None:
            self._file.write(self._csv.raw_header + b"\n")
        self._is_empty = False
        self._file.write(item.raw + b"\n")

    def close(self) -> None:
        self._file.close()
