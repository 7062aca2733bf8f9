"""The frames of log records: a pickled ``dict`` of the record's attributes behind its length."""

from __future__ import annotations

import struct

HEADER: struct.Struct = struct.Struct("<I")
