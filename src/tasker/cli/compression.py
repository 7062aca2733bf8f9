"""Compressed files: which suffix stands for what, and how they are read and written.

Both formats allow what a run needs that may be killed: a file is any number of *members*, one after the other, each complete in
itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

from tasker.cli.exit_codes import UsageError

GZIP, ZSTD = ".gz", ".zst"


class Decompressor(Protocol):
    """Reads one member."""

    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One format."""

    open: Callable[[str], BinaryIO]
    """Opens a file for reading, all of its members as one."""
    compress: Callable[[bytes], bytes]
    """Returns a member."""
    decompressor: Callable[[], Decompressor]
    error: type[Exception]
    """What a decompressor raises for damaged data."""


def without_suffix(path: str) -> str:
    """Returns a path without the suffix that stands for compression."""
    lowered = path.lower()
    return path[: -len(suffix)] if (suffix := _suffix(lowered)) else path


def codec_of(path: str) -> Codec | None:
    """Returns what a file of this name is compressed with; None if it is not. Raises UsageError if that needs a package that is
    not installed."""
    suffix = _suffix(path.lower())
    return _CODECS[suffix](path) if suffix else None


def _suffix(lowered: str) -> str:
    return next((suffix for suffix in _CODECS if lowered.endswith(suffix)), "")


def _gzip(path: str) -> Codec:
    import gzip
    import zlib

    return Codec(
        open=lambda name: cast(BinaryIO, gzip.open(name, "rb")),
        compress=lambda data: gzip.compress(data, 6),
        decompressor=lambda: cast(Decompressor, zlib.decompressobj(wbits=31)),
        error=zlib.error,
    )


def _zstd(path: str) -> Codec:
    # From 3.14 on in the standard library, of which the second one is a copy.
    for name in ("compression.zstd", "backports.zstd"):
        try:
            zstd: Any = importlib.import_module(name)
        except ImportError:
            continue
        return Codec(zstd.open, zstd.compress, zstd.ZstdDecompressor, zstd.ZstdError)
    try:
        zstandard: Any = importlib.import_module("zstandard")
    except ImportError:
        raise UsageError(
            f"{path}: to read or write {ZSTD}, install tasker-pool[zstd] (Python 3.14 needs nothing)"
        ) from None
    return Codec(
        open=lambda file: _open_zstandard(zstandard, file),
        compress=lambda data: cast(bytes, zstandard.ZstdCompressor().compress(data)),
        decompressor=lambda: cast(Decompressor, zstandard.ZstdDecompressor().decompressobj()),
        error=zstandard.ZstdError,
    )


def _open_zstandard(zstandard: Any, path: str) -> BinaryIO:
    import io

    # Not by its `open`, which reads no further than the first member.
    file = open(path, "rb")  # noqa: SIM115 - the reader closes it
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return cast(BinaryIO, io.BufferedReader(reader))


_CODECS: dict[str, Callable[[str], Codec]] = {GZIP: _gzip, ZSTD: _zstd}
