# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_hook import identity

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "GROUP_RANK": "2", "WORLD_SIZE": "8"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (0, 0, None, None)),
        (TORCHRUN, (2, 1, 5, 8)),
        ({**TORCHRUN, "NODE_RANK": "3"}, (3, 1, 5, 8)),
        ({**TORCHRUN, "PET_NODE_RANK": "4", "NODE_RANK": "3"}, (4, 1, 5, 8)),
        ({**TORCHRUN, "SLURM_NODEID": "6", "SLURM_LOCALID": "0"}, (6, 1, 5, 8)),
        ({"SLURM_NODEID": "1", "SLURM_LOCALID": "3", "SLURM_PROCID": "7"}, (1, 3, 7, None)),
        (
            {
                "OMPI_COMM_WORLD_RANK": "5",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
                "OMPI_COMM_WORLD_SIZE": "8",
            },
            (1, 1, 5, 8),
        ),
        ({"JOB_COMPLETION_INDEX": "3"}, (3, 0, None, None)),
        ({"RANK": "", "LOCAL_RANK": "-1", "NODE_RANK": "²"}, (0, 0, None, None)),
        ({"WORLD_SIZE": "9" * 30}, (0, 0, None, None)),
    ],
)  # fmt: skip
def test_launchers(environ, expected):
    assert identity.read(environ) == expected


@given(st.dictionaries(st.sampled_from(identity.NODE_RANK + identity.LOCAL_RANK), st.text()))
def test_never_raises(environ):
    who = identity.read(environ)
    assert who.node_rank >= 0
    assert who.local_rank >= 0
