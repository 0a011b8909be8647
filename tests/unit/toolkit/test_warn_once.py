# SPDX-License-Identifier: Apache-2.0
import logging

from primus_lens_toolkit.warn_once import WarnOnce


def test_each_kind_is_logged_once_until_it_was_over(caplog):
    warn = WarnOnce(logging.getLogger("test"))
    for _ in range(3):
        warn("disk", "no room", path="/a")
        warn("network", "no answer")
    assert [record.message for record in caplog.records] == ["no room", "no answer"]
    assert caplog.records[0].path == "/a"
    assert (warn.over(), warn.over()) == (True, False)
    warn("disk", "no room")
    assert len(caplog.records) == 3
