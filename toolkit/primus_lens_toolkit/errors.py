# SPDX-License-Identifier: Apache-2.0
"""The base of what keeps a daemon from starting."""


class CannotStart(Exception):
    """The text says what is wrong and what to do; the command prints it and ends with status 2."""
