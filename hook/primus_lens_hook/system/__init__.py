# SPDX-License-Identifier: Apache-2.0
"""What the machine does while the training logs. Imported when the user asks for it alone."""

from __future__ import annotations

from typing import Dict, Union

Sample = Dict[str, Union[float, int, str]]  # by the names of contract.SAMPLE_*
