"""The file of failed inputs: in the inputs' own format, so that it can be an input itself."""

from __future__ import annotations

from .inputs import RunInputs
from .items import Item
from .output import LineFile


class FailedInputs:
    """Writes the failed items as they were read."""

    def __init__(self, file: LineFile, inputs: RunInputs) -> None:
        self._file = file
        self._inputs = inputs
        self._is_empty = True

    def write(self, item: Item) -> None:
        """Appends an item. Raises OutputError when that fails."""
        # Looked up with the first failed item: before anything is read, the header is not known.
        if self._is_empty and (header := self._inputs.header):
            self._file.write(header + b"\n")
        self._is_empty = False
        self._file.write(item.raw + self._inputs.end)

    def flush(self) -> None:
        """Writes what was appended and not written yet. Raises OutputError when that fails."""
        self._file.flush()

    def close(self) -> None:
        self._file.close()
