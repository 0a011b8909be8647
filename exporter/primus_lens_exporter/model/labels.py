# SPDX-License-Identifier: Apache-2.0
"""Labels of a series, their text in the exposition formats, and how a long value is cut.

Values come from untrusted pods: no text may break out of its quotes, fail to encode, or be
longer than the bound that the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterable

Labels = tuple[tuple[str, str], ...]
"""Label names and values of an identity, in the order of the page."""


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """`name="value",…` as the text format escapes it (Prometheus exposition formats)."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def encoded(text: str) -> bytes:
    """As UTF-8. Lone surrogates are legal in JSON strings and nowhere else."""
    return text.encode("utf-8", "replace")


def clean(text: str) -> str:
    """As `encoded`, and still a text."""
    return text if text.isascii() else encoded(text).decode()


def without_empty(labels: Labels) -> Labels:
    """To Prometheus, an empty label is none."""
    return tuple(label for label in labels if label[1])


def cut(text: str, label_bytes: int) -> str:
    """Only the beginning of a long text fits into a label."""
    return encoded(text)[:label_bytes].decode("utf-8", "ignore")


def of_pod(labels: Labels) -> Labels:
    """The identity of a rank without what tells it from the pod's others."""
    return tuple(label for label in labels if label[0] != "local_rank")


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
