"""The frames of log records: a pickled ``dict`` of the record's attributes behind its length. A tuple in its place says how far a
task is: its number, how much is done, and of how much."""

from __future__ import annotations

import struct

HEADER: struct.Struct = struct.Struct("<I")
