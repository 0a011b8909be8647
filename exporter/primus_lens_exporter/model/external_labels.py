# SPDX-License-Identifier: Apache-2.0
"""Labels that an operator adds to every series."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
RESERVED = ("node_rank", "local_rank", "run_id", "key")


def added_label(text: str) -> tuple[str, str]:
    """Parse `name=value`. Raises ValueError for a name that Prometheus or we have taken."""
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise ValueError(f"expected name=value, the name of letters, digits and _, not {text!r}")
    if name.startswith("__") or name in RESERVED:
        raise ValueError(f"the label {name} is taken; choose another name")
    if not value:
        raise ValueError(f"the label {name} is empty, which to Prometheus means that it is absent")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the label {name} is not UTF-8") from None
    return name, value
