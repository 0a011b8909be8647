# SPDX-License-Identifier: Apache-2.0
"""What the pods of the cluster's tests run: the hook's own writer, and nothing slow to start.

short_job.py RECORDS LINES PAUSE: 20 lines a second, and PAUSE seconds before the last one.
"""

import json
import sys
import time

from primus_lens_hook.identity import Identity
from primus_lens_hook.recording.rank_directory import rank_directories
from primus_lens_hook.recording.writer import Writer

LINES_A_SECOND = 20

if __name__ == "__main__":
    records, lines, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    writer = Writer(rank_directories(records, Identity(0, 0, 0, 1)), 1 << 20)
    for step in range(lines):
        data = {"loss": 1 / (step + 1), "left": lines - step - 1}
        record = {"timestamp": time.time(), "step": step, "data": data, "run": "short"}
        assert writer.write(json.dumps(record).encode() + b"\n")
        time.sleep(1 / LINES_A_SECOND)
        if data["left"] == 1:
            time.sleep(pause)
