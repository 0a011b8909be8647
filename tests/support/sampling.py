# SPDX-License-Identifier: Apache-2.0
"""Trainings with samples of the system, and what is in their files afterwards."""

import json

ON = {"PRIMUS_LENS_WANDB_ENHANCE_METRICS": "true"}
FEW = {"_primus_sys_cpu_percent", "_primus_sys_memory_percent"}
START = """
    import glob, os, sys, threading, time, types, wandb
    import primus_lens_hook.system.sampler as sampler
    sampler.INTERVAL = 0.05
    def samples():
        files = glob.glob("records/**/*.jsonl", recursive=True)
        return sum(open(file).read().count('"sample":true') for file in files)
    def sampled():
        enough = samples() + 2
        while samples() < enough:
            time.sleep(0.01)
    def threads():
        return [t for t in threading.enumerate() if t.name == "primus-lens-sampler"]
    def add_source(**functions):
        source = types.SimpleNamespace(name="odd", **functions)
        module = sys.modules["primus_lens_hook.system.odd"] = types.ModuleType("odd")
        module.find = lambda: source
        sampler.SOURCES += ("odd",)
        return module
"""
TRAIN = (
    START
    + """
    wandb.init(project="p")
    wandb.log({"i": 0})
    sampled()
    wandb.log({"i": 1})
    wandb.finish()
    print("trained")
"""
)


def logs(done):
    return [line for line in done.lines if "sample" not in line]


def samples(done):
    return [line for line in done.lines if "sample" in line]


def rows(done):
    """What W&B has, with the keys that begin with an underscore."""
    histories = [r.history for run in done.wandb for r in run if r.HasField("history")]
    return [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in each.item}
        for each in histories
    ]
