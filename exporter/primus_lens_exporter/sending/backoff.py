# SPDX-License-Identifier: Apache-2.0
"""How long to wait before a request is tried again, whatever the receiver says.

No answer may make the tries follow each other without a wait: not `Retry-After: 0`, not a
date that is past, not one that cannot be read.
"""

from __future__ import annotations

import email.utils
import secrets
import time

MIN_WAIT, MAX_WAIT = 0.05, 10.0  # seconds before the first and the later tries
MAX_ASKED_WAIT = 300.0  # whatever the receiver asks for

_random = secrets.SystemRandom()


def wait(tries: int, retry_after: str | None) -> float:
    """Seconds until the next try, never quite the same for two exporters.

    `tries` have failed before this one; `retry_after` is the header's text. It can only
    lengthen the wait: RFC 9110 has it as the least time to wait.
    """
    backoff = min(MAX_WAIT, MIN_WAIT * 2.0 ** min(tries, 20)) * _random.uniform(0.5, 1.0)
    asked = 0.0 if retry_after is None else min(MAX_ASKED_WAIT, _seconds(retry_after))
    return max(backoff, asked)


def _seconds(retry_after: str) -> float:
    """RFC 9110: seconds or a date; 0 for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
