# SPDX-License-Identifier: Apache-2.0
"""JSON text that every reader takes. It must never fail, whatever a text of the user's holds."""

from __future__ import annotations

import re

# In what `json` prints, which is ASCII: a pair of surrogates, a lone one, any other escape.
_ESCAPES = re.compile(r"\\ud[89ab]..\\ud[c-f]..|(\\ud[89a-f]..)|\\.")


def valid(text: str) -> str:
    """JSON text with U+FFFD for each lone surrogate (`os.fsdecode`, half an emoji)."""
    # Python prints it as an escape that other readers refuse, and the whole line with it.
    if "\\ud" not in text:
        return text
    return _ESCAPES.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
