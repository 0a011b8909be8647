# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest

from support import sites


@pytest.fixture
def site():
    """Starts sites; each is stopped at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda *config, **settings: stack.enter_context(sites.Site(*config, **settings))


@pytest.fixture
def authority(tmp_path):
    return sites.Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path):
    """An authority that nobody trusts."""
    (tmp_path / "stranger").mkdir()
    return sites.Authority(tmp_path / "stranger")
