# SPDX-License-Identifier: Apache-2.0
"""Trouble of every kind: the training goes on, and hears of each kind at most once."""

import json
import os
import subprocess
import textwrap

import pytest

TRAIN = """
    import os, sys, wandb
    wandb.init(project="p")
    for i in range(100):
        wandb.log({"i": i})
        if i == 50 and len(sys.argv) > 1:
            exec(sys.argv[1])
    wandb.finish()
    print("trained")
"""


def trained(done):
    """The training ended well; returns what we had to say."""
    assert done.status == 0, done.stderr
    assert "trained" in done.stdout
    assert sum(1 for row in done.rows if "i" in row) == 100
    return done.complaints


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", ["/proc/nothing", "/dev/null/records", "/sys/kernel"])
def test_unwritable_path(train, path):
    assert len(trained(train(TRAIN, env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": path}))) == 1


@pytest.mark.exhaustive
def test_read_only_file_system(train, tmp_path):
    with mounted_tmpfs(tmp_path / "ro", "ro") as path:
        assert len(trained(train(TRAIN, env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": str(path)}))) == 1


@pytest.mark.exhaustive
def test_the_directory_vanishes(train):
    vanish = "import shutil, time; shutil.rmtree('records'); time.sleep(1.1)"
    done = train(TRAIN, vanish)
    assert trained(done) == []
    assert [row["i"] for row in done.data] == list(range(51, 100))


@pytest.mark.exhaustive
def test_a_full_disk_leaves_no_torn_line(train, tmp_path):
    with mounted_tmpfs(tmp_path / "full", "size=64k") as path:
        done = train(
            """
            import wandb
            wandb.init(project="p")
            for i in range(400):
                wandb.log({"i": i, "padding": "x" * 700})
            wandb.finish()
            print("trained")
            """,
            env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": str(path)},
        )
        text = next(path.rglob("wandb_metrics.jsonl")).read_text()
    assert done.status == 0
    assert len(done.complaints) <= 2  # one for the lines, one for wandb_runs.json
    assert "No space left" in done.complaints[0]
    lines = text.split("\n")
    assert lines.pop() == ""  # ends with a newline
    assert [json.loads(line)["data"]["i"] for line in lines] == list(range(len(lines)))
    assert 20 < len(lines) < 100


@pytest.mark.exhaustive
def test_odd_environment(train):
    odd = {"RANK": "", "LOCAL_RANK": "x", "NODE_RANK": "-1", "WORLD_SIZE": "²", "HOME": None}
    done = train(TRAIN, env=odd)
    assert trained(done) == []
    assert (done.output / "node_0" / "rank_0").is_dir()


def test_nonsense_settings_are_named_once(train):
    env = {"PRIMUS_LENS_WANDB_MAX_BYTES": "lots", "PRIMUS_LENS_WANDB_MARK_ROWS": "maybe"}
    complaints = trained(train(TRAIN, env=env))
    assert [line.split()[1].split("=")[0] for line in complaints] == [
        "PRIMUS_LENS_WANDB_MARK_ROWS",
        "PRIMUS_LENS_WANDB_MAX_BYTES",
    ]


def test_odd_values(train):
    done = train("""
        import numpy as np, wandb
        class Evil:
            shape = ()
            def item(self): raise RuntimeError("no")
            def __str__(self): raise RuntimeError("no")
        endless = {}
        endless["self"] = endless
        wandb.init(project="p")
        wandb.log({"nan": float("nan"), "inf": float("-inf"), "np": np.float16(0.5),
                   "one": np.array([3]), "many": np.arange(100), "big": 10**30, "none": None})
        wandb.log({"html": wandb.Html("<p>"), "table": wandb.Table(columns=["a"])})
        wandb.log({"string": "x" * 5_000_000, "ü": 1, 'q"\\n': 2})
        for odd in ({"evil": Evil()}, {"endless": endless}, {"huge": 10**5000}):
            try:
                wandb.log(odd)
            except Exception as error:
                print("native:", type(error).__name__)
        wandb.log({"last": 1})
        wandb.finish()
    """)
    assert done.status == 0, done.stderr
    assert done.complaints == []
    first, media, long, evil, endless, huge, last = done.data
    assert first == {
        "nan": "NaN", "inf": "-Infinity", "np": 0.5, "one": 3,
        "many": {"_type": "ndarray"}, "big": 10**30, "none": None,
    }  # fmt: skip
    assert media == {"html": {"_type": "html-file"}, "table": {"_type": "table"}}
    assert len(long.pop("string")) == 5_000_000
    assert long == {"ü": 1, 'q"\n': 2}
    assert (evil, huge) == ({"evil": {"_type": "Evil"}}, {"huge": {"_type": "int"}})
    assert list(endless.values()) == [{"_type": "dict"}]
    assert last == {"last": 1}


@pytest.mark.exhaustive
@pytest.mark.parametrize("bad", ["{1: 2}", "'text'", "[1]", "None"])
def test_errors_stay_wandbs_own(train, bad):
    code = f"""
        import wandb
        wandb.init(project="p")
        try:
            wandb.log({bad})
        except Exception as error:
            print(repr(error))
        wandb.log({{"i": 1}})
    """
    hooked, native = train(code), train(code, env={"PRIMUS_LENS_WANDB_HOOK": "off"})
    assert hooked.stdout == native.stdout
    assert "Error" in hooked.stdout
    assert hooked.data == [{"i": 1}]


@pytest.mark.parametrize(
    ("value", "fault"), [("i", "recorder.LARGE = None"), ("str(i)", "journal.start_of_line = None")]
)
def test_a_fault_of_ours_ends_the_hook_and_nothing_else(train, value, fault):
    done = train(f"""
        import wandb
        wandb.init(project="p")
        for i in range(100):
            if i == 50:
                from primus_lens_hook.recording import journal, recorder
                {fault}
            wandb.log({{"i": {value}}})
        wandb.finish()
        print("trained")
    """)
    assert len(trained(done)) == 1
    assert [int(row["i"]) for row in done.data] == list(range(50))
    assert done.outcome["outcome"] == "failed"
    assert "TypeError" in done.outcome["reason"]


def test_an_error_of_the_users_row_that_cannot_be_printed(train):
    done = train("""
        import collections.abc, wandb
        class Unprintable(Exception):
            def __str__(self): raise RuntimeError("no")
        class Row(collections.abc.Mapping):
            def __len__(self): return 1
            def __iter__(self): raise Unprintable
            def __getitem__(self, key): return 1
        wandb.init(project="p")
        try:
            wandb.log(Row())
        except Exception as error:
            print(type(error).__name__)
        wandb.log({"i": 1})
        print("trained")
    """)
    assert done.status == 0
    assert done.stdout == "Unprintable\ntrained\n"
    assert (done.data, done.complaints) == ([{"i": 1}], [])
    assert done.outcome["outcome"] == "patched"


@pytest.mark.exhaustive
def test_a_path_that_is_none(train, tmp_path):
    done = train(TRAIN, env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": "x" * 5000})
    assert len(trained(done)) == 1


@pytest.mark.parametrize(
    "package",
    [
        {"__init__.py": "raise RuntimeError('broken')"},
        {"__init__.py": "def log(*a): pass\ndef init(**k): pass"},  # long ago
        {"__init__.py": "import wandb.sdk.wandb_run", "sdk/__init__.py": "",
         "sdk/wandb_run.py": "class Run: pass"},
    ],
    ids=["broken", "ancient", "another"],
)  # fmt: skip
def test_other_wandbs(train, tmp_path, package):
    for name, text in package.items():
        path = tmp_path / "wandb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = train("""
        try:
            import wandb
        except RuntimeError as error:
            print(error)
        print("trained")
    """)
    assert done.status == 0
    assert "trained" in done.stdout
    assert done.stderr == ""


@pytest.mark.exhaustive
def test_closed_stderr(train):
    code = "import sys; sys.stderr = None\n" + textwrap.dedent(TRAIN)
    done = train(code, env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": "/proc/x"})
    assert done.status == 0


class mounted_tmpfs:
    """A small file system of its own, where this user may mount one."""

    def __init__(self, path, options):
        self.path, self.options = path, options

    def __enter__(self):
        self.path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", self.path]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system is not permitted here")
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)
