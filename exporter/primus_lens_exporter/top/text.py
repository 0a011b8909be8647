# SPDX-License-Identifier: Apache-2.0
"""Names, numbers, times and curves as text that a terminal can only show.

Names come from hostile pods. A terminal obeys control characters, and bidirectional ones
change what is read; none of them may ever get there.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len

from primus_lens_exporter.live.schema import Value

LONGEST = 4_096  # characters of a text; more are never seen
INSTEAD = "\N{REPLACEMENT CHARACTER}"
# Controls, formats (bidirectional ones are among them), lone surrogates, line ends.
UNSHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# They join what stands beside them into one symbol, of a width that terminals do not agree on.
JOINING = {chr(c) for c in (*range(0x1F3FB, 0x1F400), *range(0x1F1E6, 0x1F200))}
STYLES = {chr(c) for c in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}  # of the one before
MOST_MARKS = 2  # on one character; a pile of them would cover the lines above
BARS = "▁▂▃▄▅▆▇█"


@functools.lru_cache(maxsize=4096)  # the same names are drawn again at each key
def harmless(text: str) -> str:
    """A hostile text in one line, every character of a known width."""
    shown, marks = [], 0
    # Before they are composed: a style between a letter and its mark keeps the two apart.
    plain = "".join(each for each in text[:LONGEST] if each not in STYLES)
    for each in unicodedata.normalize("NFC", plain):
        if unicodedata.category(each) in UNSHOWN or each in JOINING:
            each = INSTEAD  # noqa: PLW2901
        marks = marks + 1 if cell_len(each) == 0 else 0
        if marks <= MOST_MARKS:
            shown.append(each)
    return "".join(shown)


def value(number: Value | None) -> str:
    """A logged value, to four digits."""
    if number is None:
        return ""
    return harmless(number) if isinstance(number, str) else f"{number:.4g}"


def step(number: Value | None) -> str:
    """A step: whole, as long as a float tells whole numbers apart."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        return f"{number:,.0f}"
    return value(number)


def rate(per_second: float | None) -> str:
    """Steps a second, to three digits."""
    if per_second is None:
        return ""
    return f"{per_second:,.0f}" if 100 <= per_second < 1e9 else f"{per_second:.3g}"


def age(seconds: float) -> str:
    """The largest unit that fits; clocks that disagree make it no less than zero."""
    if not abs(seconds) < 1e10:  # since 1650: no time that anything was logged at
        return "?"
    for size, unit in ((172_800, "d"), (7_200, "h"), (120, "m")):
        if seconds >= size:
            return f"{seconds // {'d': 86_400, 'h': 3_600, 'm': 60}[unit]:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def size(count: int) -> str:
    """Bytes, by the thousand."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.3g} {unit}"
    return f"{count} B"


def spark(values: Sequence[float | None], width: int) -> str:
    """A curve of at most `width` characters, peaks kept; `!` is a value that is not finite."""
    count = min(width, len(values))
    edges = [len(values) * place // max(1, count) for place in range(count + 1)]
    peaks = [_peak(values[start:end]) for start, end in itertools.pairwise(edges)]
    finite = [peak for peak in peaks if peak is not None]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join("!" if peak is None else _bar(peak, low, high) for peak in peaks)


def _peak(values: Sequence[float | None]) -> float | None:
    finite = [each for each in values if each is not None]
    return max(finite) if len(finite) == len(values) else None


def _bar(number: float, low: float, high: float) -> str:
    # By halves: the difference of the largest floats would be infinite.
    span = high / 2 - low / 2
    share = (number / 2 - low / 2) / span if span else 0.0
    return BARS[min(len(BARS) - 1, int(share * len(BARS)))]
