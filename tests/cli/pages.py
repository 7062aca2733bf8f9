"""What is true of each page in one file."""

from __future__ import annotations

import json
import re
from typing import Any


def data_in(page: str) -> dict[str, Any]:
    """Returns the data in a page."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data
