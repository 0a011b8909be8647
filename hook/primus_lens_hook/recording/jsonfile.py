# SPDX-License-Identifier: Apache-2.0
"""Small JSON files that a reader finds whole: the old one or the new one, never a part."""

from __future__ import annotations

import json
import os
from typing import Any


def replace(path: str, value: Any) -> None:
    """Put `value` in the place of what `path` holds. Raises OSError."""
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as file:
        json.dump(value, file)
    os.replace(temporary, path)
