# SPDX-License-Identifier: Apache-2.0
"""Names of the directories and files that a rank's writer makes: `node_{n}/rank_{l}/`.

A name says where something is and never whose it is: pods choose their names themselves.
"""

from __future__ import annotations

import re

from primus_lens_hook import contract

# `.u{uid}`: of a user who may not write into the rank's own directory, which another has made.
NODE = re.compile(contract.NODE_DIRECTORY.format(r"([0-9]{1,9})") + r"(\.u\d{1,10})?")
RANK = re.compile(contract.RANK_DIRECTORY.format(r"([0-9]{1,9})"))
NODE_OR_RANK = re.compile(f"{NODE.pattern}|{RANK.pattern}")
POD_UID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
CONTAINER = re.compile(r"()[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # an RFC 1123 label
NODE_OR_CONTAINER = re.compile(f"{NODE.pattern}|{CONTAINER.pattern}")
METRICS_FILE = re.compile(
    re.escape(contract.METRICS_STEM)
    + r"(?P<owner>(\.p\d{1,10})?)(\.(?P<number>\d{1,9}))?"
    + re.escape(contract.METRICS_SUFFIX)
)
RUNS_FILE = re.compile(
    re.escape(contract.RUNS_STEM) + r"(\.p\d{1,10})?" + re.escape(contract.RUNS_SUFFIX)
)
FILE = re.compile(f"{METRICS_FILE.pattern}|{RUNS_FILE.pattern}")
