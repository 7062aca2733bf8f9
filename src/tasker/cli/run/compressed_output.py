"""Outputs that are compressed: lines are collected, and written as one member after the other.

A member is written at once and holds whole lines. So a run that is killed leaves at most a part of one behind, and what is in front
of it stays readable for every program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasker.cli.compression import Codec
from tasker.cli.exit_codes import UsageError

from .output import LineFile

MEMBER_SIZE = 1 << 18
"""Bytes of lines from which on they are written as a member."""
_READ = 1 << 18


class CompressedLineFile(LineFile):
    """As ``LineFile``, but lines are written when they are many, or by ``flush``."""

    codec: Codec  # set by `open_lines`

    def __init__(self, fd: int, name: str, path: str | None = None, is_new: bool = False) -> None:
        super().__init__(fd, name, path, is_new)
        self._lines: list[bytes] = []
        self._collected = 0

    def write(self, lines: bytes) -> None:
        self._lines.append(lines)
        self._collected += len(lines)
        if self._collected >= MEMBER_SIZE:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            member = self.codec.compress(b"".join(self._lines))
            self._lines, self._collected = [], 0
            super().write(member)

    def _whole(self, written: bytes) -> int:
        return 0  # a part of a member is of no use

    def close(self) -> None:
        self.flush()
        super().close()

    def packed(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        collected: list[bytes] = []
        size = 0
        for line in lines:
            collected.append(line)
            size += len(line)
            if size >= MEMBER_SIZE:
                yield self.codec.compress(b"".join(collected))
                collected, size = [], 0
        if collected:
            yield self.codec.compress(b"".join(collected))

    def lines(self, *, mend: bool = False) -> Iterator[bytes]:
        last, rest, is_whole = 0, b"", True
        for start, content, ends in self._members(0):
            last, is_whole = start, ends
            *whole, rest = (rest + content).split(b"\n")
            for line in whole:
                yield line + b"\n"
        if mend and (rest or not is_whole):
            self._mend(last)

    def _members(self, start: int) -> Iterator[tuple[int, bytes, bool]]:
        """Yields what is in the file from a member on: where its member begins, a part of its content, and whether the member
        ends with that. Raises UsageError if it is damaged."""
        with open(self.path, "rb") as stream:
            stream.seek(start)
            decompressor, pending = self.codec.decompressor(), b""
            while True:  # docs/decisions/0043
                if not (data := pending or stream.read(_READ)):
                    break
                try:
                    content = decompressor.decompress(data)
                except self.codec.error as error:
                    raise UsageError(
                        f"{self.name} is damaged behind byte {start:,}: {error}; nothing was changed"
                    ) from None
                pending = decompressor.unused_data
                self.position: int = stream.tell() - len(pending)
                yield start, content, decompressor.eof
                if decompressor.eof:
                    start, decompressor = self.position, self.codec.decompressor()

    def _mend(self, start: int) -> None:
        """Writes the last member anew, with the whole lines that are left of it."""
        content = b"".join(part for _, part, _ in self._members(start))
        self.truncate(start)
        if whole := content[: content.rfind(b"\n") + 1]:
            self.write(whole)
            self.flush()
