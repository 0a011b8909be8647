# SPDX-License-Identifier: Apache-2.0
import functools
import time

import pytest

from support.sending import Sending


@pytest.fixture
def start():
    """A time not long ago, in whole seconds."""
    return float(int(time.time()) - 600)


@pytest.fixture
def send(tmp_path):
    """Sends the records below the test's directory."""
    (tmp_path / "records").mkdir(exist_ok=True)
    return functools.partial(Sending, tmp_path / "records", tmp_path / "spool")
