# SPDX-License-Identifier: Apache-2.0
"""System metrics: what the machine does while the training logs.

Imported only on request. It must never run in a log call, nor wait for a driver in the training's
own threads.
"""

from __future__ import annotations

from typing import Dict, Union

Sample = Dict[str, Union[float, int, str]]  # by the names of contract.SAMPLE_*
