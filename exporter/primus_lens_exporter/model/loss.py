# SPDX-License-Identifier: Apache-2.0
"""Which keys are a loss; the alerts' own pattern (docs/alerts.md)."""

from __future__ import annotations

import re

LOSS = re.compile(r"(.*[/ _.-])?loss", re.DOTALL)
