# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.places import Kind, place, source
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.watcher import Watcher

from support.reading import tenants_of
from support.serving import set_link


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """Directories of both kinds, by the table of mounts, and links to them."""
    for kind in "local", "nfs":
        (tmp_path / kind).mkdir()
        (tmp_path / f"to_{kind}").symlink_to(kind)
    table = tmp_path / "table"
    table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n1 0 0:1 / {tmp_path}/nfs rw - nfs x rw\n")
    monkeypatch.setattr("primus_lens_hook.mounts.TABLE", str(table))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "name", "can_hang", "apart"),
    [
        (Kind.DIRECTORY, "local", False, False),
        (Kind.DIRECTORY, "local/../local", False, False),
        (Kind.DIRECTORY, "to_local", False, True),
        (Kind.DIRECTORY, "to_local/x", False, True),
        (Kind.DIRECTORY, "nfs", True, True),
        (Kind.DIRECTORY, "to_nfs/x", True, True),
        (Kind.KUBELET, "to_local", False, False),
        (Kind.SHARED, "to_nfs", True, True),
    ],
)
def test_which_are_read_apart(made, kind, name, can_hang, apart):
    found = place(kind, made / name)
    assert (found.can_hang, found.apart) == (can_hang, apart)
    assert found.path == f"{made}/{name}"


def test_what_a_link_leads_to_is_held_where_it_cannot_hang(made):
    options = ReadingSettings()
    link, watcher, tenants = made / "latest", Watcher(), tenants_of(Counts())
    set_link(link, made / "local")
    found = source(place(Kind.DIRECTORY, link), PodCache(), tenants, options, watcher)
    seen = []
    for now, target in enumerate(["local", "local", "nfs", "nowhere", "local"]):
        set_link(link, made / target)
        (volume,) = found.volumes(float(2 * now))
        seen.append((volume, volume.root.hold))
    found.close()
    watcher.close()
    assert [hold for _, hold in seen] == [True, True, False, True, True]
    assert len({volume for volume, _ in seen}) == 4
