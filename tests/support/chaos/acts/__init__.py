# SPDX-License-Identifier: Apache-2.0
"""What happens on the node: `ACTS` are all kinds, by name, each a function of world and act.

An act works in rank directories of its own, and its runs are named after it, so that a finding
says by itself which act it is about; only the acts on programs touch all others.
"""

from support.chaos.acts import directories, processes, trainings, volumes

ACTS = {
    function.__name__: function
    for module in (trainings, directories, volumes, processes)
    for function in module.ACTS
}
VOLUMES = {function.__name__: function.__name__ for function in volumes.ACTS}
"""The volume beside `records` that a kind of act needs."""
