# SPDX-License-Identifier: Apache-2.0
"""The part that enters a user's Python process.

It repairs nothing and records nothing until `wandb` is imported, depends on the
standard library alone, and runs on Python 3.7 and newer. It must never harm the
training: every entry point is fenced, and a fault inside falls through to wandb.

This file is executed at every interpreter start: keep it free of imports.
"""

__version__ = "0.1.0"
