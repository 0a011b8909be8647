# SPDX-License-Identifier: Apache-2.0
"""Which column is whose x-axis: `primus_lens/step` for displaced keys, the user's for the rest.

Every row carries the logical step in the column AXIS. Only a key that had to leave its
native step is plotted over it, and only where the user has not said how to plot the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Dict, List, Optional

from primus_lens_hook.counter import as_integer

AXIS = "primus_lens/step"
# Where transformers and Lightning put the training's step while they log without one.
STEP_KEYS = ("train/global_step", "trainer/global_step")


def step_in(values: Mapping[str, Any]) -> Optional[int]:
    """The training's step, if a framework has put it into the row."""
    for key in STEP_KEYS:
        if key in values:
            return as_integer(values[key])
    return None


class Axes:
    """What one run's keys are plotted over. Names are wandb's, with dots escaped or not."""

    def __init__(self) -> None:
        self._exact: Dict[str, Optional[str]] = {}  # user's metric -> its step metric
        self._globs: Dict[str, Optional[str]] = {}  # prefix before the star -> step metric
        self._summarized: Dict[str, None] = {}  # exact names and prefixes with a summary= of theirs
        self._ours: Dict[str, None] = {}

    def defined(self, name: str, step_metric: Optional[str], summary: Optional[str]) -> List[str]:
        """Note a definition of the user's; returns our keys that it must now win over."""
        name = name.replace("\\.", ".")
        if not name.endswith("*"):
            self._exact[name] = step_metric
            self._ours.pop(name, None)
            if summary:
                self._summarized[name] = None
            return []
        prefix = name[:-1]
        self._globs[prefix] = step_metric
        if summary:
            self._summarized[prefix + "*"] = None
        # wandb lets an exact definition win over a glob, and ours are exact.
        overruled = [key for key in self._ours if key.startswith(prefix)]
        for key in overruled:
            del self._ours[key]
        return overruled

    def to_define(self, keys: Iterable[str]) -> List[str]:
        """Those of the keys that have no axis of their own yet; from now on, they have."""
        free = [
            key
            for key in keys
            if not (key in self._ours or key.startswith("_") or key == AXIS)
            and not key.endswith("*")  # wandb would read it as a pattern
            and not self._is_users(key)
        ]
        self._ours.update(dict.fromkeys(free))
        return free

    def missing(self, values: Mapping[str, Any], logical: int) -> Dict[str, int]:
        """The framework's step column for a displaced row whose keys the user plots over it.

        wandb would fill in the newest step, which is not this row's.
        """
        wanted = {self._users_axis(key) for key in values}
        return {key: logical for key in STEP_KEYS if key in wanted and key not in values}

    def has_summary(self, key: str) -> bool:
        """Whether the user has chosen how the key is summarized."""
        return any(
            key.startswith(name[:-1]) if name.endswith("*") else key == name
            for name in self._summarized
        )

    def _is_users(self, key: str) -> bool:
        return key in self._exact or any(map(key.startswith, self._globs))

    def _users_axis(self, key: str) -> Optional[str]:
        if key in self._exact:
            return self._exact[key]
        return next((axis for prefix, axis in self._globs.items() if key.startswith(prefix)), None)
