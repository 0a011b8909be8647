# SPDX-License-Identifier: Apache-2.0
"""Where this checkout is."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
