# SPDX-License-Identifier: Apache-2.0
"""How many random examples a test tries, as a multiple of those of Hypothesis' profile."""

from hypothesis import settings


def times(factor, **more):
    """Settings with that many times the profile's examples, and `more` of them."""
    return settings(max_examples=round(factor * settings.default.max_examples), **more)
