# SPDX-License-Identifier: Apache-2.0
"""The part that enters a user's Python process.

It repairs nothing and records nothing until `wandb` is imported, depends on the
standard library alone, and runs on Python 3.7 and newer. It must never harm the
training: after an internal error, wherever it happens, wandb gets the call.

This file and `boot` are all that an interpreter start reads. Keep it free of imports; it
holds the off switch, which `boot` needs, and `contract` hands on.
"""

# Not read from the installed metadata: importlib.metadata costs milliseconds at each start, and an
# injected tree has none.
__version__ = "0.1.0"

# Here and not in `contract`, whose other names would be one file more to read at each start.
ENV_HOOK = "PRIMUS_LENS_WANDB_HOOK"
TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")
