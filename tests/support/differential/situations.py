# SPDX-License-Identifier: Apache-2.0
"""Trainings from bug reports, each under the name of what they hit.

Bodies of one run, in the calls of the prelude; `RUNS` are compared with native call by call.
"""

TRANSFORMERS = """
define(run, "train/global_step")
define(run, "*", step_metric="train/global_step", step_sync=True)
for s in range(1, 61):
    log(run, {"custom/mean": 1000 + s})
    log(run, {"train/loss": 2000 + s, "train/global_step": s})
    log(run, {"callback/late": 3000 + s}, step=max(0, s - 1))
"""
LIGHTNING = TRANSFORMERS.replace("train/global_step", "trainer/global_step")
OWN_AXIS = """
define(run, "train/*", step_metric="global_step")
for s in range(1, 61):
    log(run, {"train/mean": 1000 + s})
    log(run, {"train/loss": 2000 + s, "global_step": s})
    log(run, {"train/late": 3000 + s}, step=max(0, s - 1))
"""
SUMMARY_READS = """
for s in range(1, 21):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"cb": 2000 + s}, step=s - 1)
    read(run, "item", "loss")
    log(run, {"val": 3000 + s})
    for how in ("item", "get", "in"):
        read(run, how, "val")
    read(run, "all")
    read(run, "keys")
"""
STAR_IN_A_LATE_KEY = """
for s in range(40):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"f1*100": 2000 + s}, step=s - 1)
"""
KEY_THAT_CANNOT_BE_ENCODED = """
for s in range(40):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"late": 2000 + s}, step=s - 1)
    log(run, {os.fsdecode(b"wer/caf\\xe9"): 3000 + s}, step=s)
"""
ITEM_THAT_RAISES = """
for s in range(40):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"late": 2000 + s}, step=s - 1)
    if s % 10 == 5:
        log(run, {"odd%d" % s: Raises()}, step=s)
"""
MOCK = """
for s in range(40):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"late": 2000 + s}, step=s - 1)
    if s % 10 == 5:
        log(run, {"mock%d" % s: unittest.mock.Mock()}, step=s)
"""
MASKED = """
for s in range(40):
    log(run, {"loss": 1000 + s}, step=s)
    log(run, {"late": 2000 + s}, step=s - 1)
    if s % 10 == 5:
        log(run, {"masked%d" % s: numpy.ma.masked}, step=s)
"""

REFUSED_DUPLICATE = """
log(run, {"loss": 1000}, step=9)
log(run, {"loss": 1001, "odd": Raises()}, step=9)
log(run, {"loss": 1002})
"""
DUPLICATES_OVER_AN_AXIS = """
define(run, "loss", step_metric="epoch")
for epoch in range(3):
    log(run, {"loss": 1000 + epoch}, step=10 * epoch)
    log(run, {"epoch": 5 + epoch}, step=10 * epoch)
    log(run, {"loss": 2000 + epoch}, step=10 * epoch)
"""
NEWER_IN_THE_OLDER_ROW = """
log(run, {"loss": 1000}, step=5)
log(run, {"late": 1001}, step=0)
log(run, {"late": 1002}, step=0)
log(run, {"x": 1003}, step=0)
log(run, {"x": 1004}, step=0)
read(run, "get", "x")
"""
OVERWRITTEN_AXIS = """
define(run, "train/*", step_metric="global_step")
log(run, {"train/loss": 1000, "global_step": 4}, step=4)
log(run, {"train/loss": 1001, "global_step": 3})
"""
DROPPED_REWIND = """
log(run, {"loss": 1000}, step=8)
log(run, {"loss": 1001}, step=2)
log(run, {"loss": 1002}, step=5)
log(run, {"loss": 1003, "x": 1004}, step=3)
"""
ENDED_BY_AN_EMPTY_CALL = """
for s, how in (8, {}), (18, {"step": 19}), (28, {"step": 28, "commit": True}):
    log(run, {"loss": 1000 + s, "acc": 2000 + s}, step=s)
    log(run, {"loss": 3000 + s}, step=s - 1)
    log(run, {}, **how)
    log(run, {"acc": 4000 + s}, step=s - 2, commit=False)
    read(run, "all")
"""

RUNS = {
    "W1 transformers' axis": TRANSFORMERS,
    "W1 Lightning's axis": LIGHTNING,
    "W1 an axis of one's own": OWN_AXIS,
    "W2 summary reads": SUMMARY_READS,
    "W5a a star in a late key": STAR_IN_A_LATE_KEY,
    "W5b a key that cannot be encoded": KEY_THAT_CANNOT_BE_ENCODED,
    "W5c an item that raises": ITEM_THAT_RAISES,
    "W5c a mock": MOCK,
    "W5e a masked value": MASKED,
    "a rewind that wandb drops": DROPPED_REWIND,
    "a row that an empty call ends": ENDED_BY_AN_EMPTY_CALL,
}
# With WANDB_STEP_FIX_DUPLICATES=keep.
KEPT_DUPLICATES = {
    "a duplicate that wandb refuses": REFUSED_DUPLICATE,
    "duplicates over an axis": DUPLICATES_OVER_AN_AXIS,
    "a newer value waits in the older row": NEWER_IN_THE_OLDER_ROW,
    "an axis that is overwritten too": OVERWRITTEN_AXIS,
}
