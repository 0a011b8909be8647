# SPDX-License-Identifier: Apache-2.0
"""A port that a test has found free stays free until its server has started."""

import socket
from pathlib import Path

from support.serving import free_port


def test_no_client_and_no_other_server_of_the_process_gets_it():
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    given = [free_port() for _ in range(500)]
    assert len(set(given)) == 500
    assert max(given) < first_of_clients


def test_one_that_is_taken_is_not_given():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port() + 1))
        taken.listen()
        assert free_port() != taken.getsockname()[1]
