# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_exporter.reading import misplaced

UID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def made(tmp_path):
    """Directories below this one."""
    for name in (
        "out/run/node_0/rank_0",
        "empty",
        f"kubelet/pods/{UID}/volumes",
        f"shared/team/pod/{UID}/node_0",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "out/run/node_0/rank_0/wandb_metrics.jsonl").touch()
    (tmp_path / "link").symlink_to("out/run/node_0")
    return tmp_path


@pytest.mark.parametrize(
    ("look", "path", "meant"),
    [
        ("records_path", "out/run", None),
        ("records_path", "empty", None),
        ("records_path", "out/run/node_0", "out/run"),
        ("records_path", "link", "out/run"),
        ("records_path", "out/run/node_0/rank_0", "out/run"),
        ("records_path", "out", "out/run"),
        ("kubelet_root", "kubelet", None),
        ("kubelet_root", "empty", None),
        ("kubelet_root", "kubelet/pods", "kubelet"),
        ("shared_path", "shared", None),
        ("shared_path", "empty", None),
        ("shared_path", "shared/team", "shared"),
        ("shared_path", "shared/team/pod", "shared"),
    ],
)
def test_the_directory_that_was_meant(made, look, path, meant):
    told = getattr(misplaced, look)(str(made / path))
    assert told is None if meant is None else told.endswith(f"; name {made / meant}")


def test_a_trainings_own_directory_is_no_shared_volume(made):
    assert "give it as --records.path" in misplaced.shared_path(str(made / "out/run"))
