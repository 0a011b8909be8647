# SPDX-License-Identifier: Apache-2.0
"""Numbers the lines of each run, on from what earlier processes have written under the same owner.

A reader counts a run's log calls by the newest number, whichever segments are left, and knows a
line that it reads again. What cannot be read of earlier processes must never keep a line from
being written.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Optional, Sequence, Tuple

from primus_lens_hook import contract
from primus_lens_hook.interruption import suppress
from primus_lens_hook.recording import jsonfile
from primus_lens_hook.recording.append_file import AppendFile

Line = Tuple[bytes, Optional[str]]
"""A line of a run, up to its number; or a whole one, and None."""

TAIL_BYTES = 64 * 1024
# The end of a line: the run, what may follow, the number.
_END = re.compile(rb'"run":("(?:[^"\\\n]|\\.)*")[^{}\n]*"seq":(\d{1,18})\}\n')


class LineNumbers:
    """The newest number of each run."""

    def __init__(
        self, directory: str = "", owner: str = "", file: Optional[AppendFile] = None
    ) -> None:
        """Goes on from what there is of an owner: in the directory, and at the end of its file."""
        self.newest: Dict[str, int] = {}
        """By run id."""
        self.of = directory, owner
        if file is not None:
            self._load(directory, owner, file)

    def numbered(self, line: bytes, run: Optional[str], more: Sequence[Line] = ()) -> bytes:
        """A line, and more of them, each with its run's next number and its end.

        One of no run is whole already.
        """
        if run is not None:
            number = self.newest[run] = self.newest.get(run, 0) + 1
            line += b',"seq":%d}\n' % number
        return b"".join((line, *(self.numbered(*each) for each in more))) if more else line

    def take_back(self, run: Optional[str], more: Sequence[Line]) -> None:
        """The newest numbers were not written."""
        for each in (run, *(of for _, of in more)):
            if each is not None:
                self.newest[each] -= 1

    def _load(self, directory: str, owner: str, file: AppendFile) -> None:
        known = jsonfile.load(runs_path(directory, owner))
        for run, entry in known.items() if isinstance(known, dict) else ():
            self._at_least(run, entry.get("records") if isinstance(entry, dict) else None)
        # A killed process has written lines since it last replaced that file.
        with suppress(OSError, ValueError):
            for run, number in _END.findall(file.end(TAIL_BYTES)):
                self._at_least(json.loads(run), int(number))

    def _at_least(self, run: str, number: Any) -> None:
        if type(number) is int and number > self.newest.get(run, 0):
            self.newest[run] = number


def runs_path(directory: str, owner: str) -> str:
    """The owner's `wandb_runs.json`."""
    return os.path.join(directory, contract.RUNS_STEM + owner + contract.RUNS_SUFFIX)
