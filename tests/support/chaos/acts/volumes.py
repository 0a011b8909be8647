# SPDX-License-Identifier: Apache-2.0
"""File systems that fail: one without room, and one that answers nothing for a while.

Each function is named like the volume that it works on.
"""

import contextlib
import time

from support.chaos.acts.trainings import FAST, STALLED

KEPT = 256 << 10  # bytes that a training keeps on the small disk


def full(world, act):
    """the disk is full for some seconds; lines are lost then, and no others"""
    world.cause(act.id(), *STALLED)
    # One after the other: a run that ends on a full disk could not say so.
    with world.disk_lock:
        if not world.left:
            return
        training = world.train(
            world.node(), [(act.id(), int(FAST * 18))], volume="full", rate=FAST, max_bytes=KEPT
        )
        world.sleep(5)
        ballast = world.path("full") / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        world.sleep(act.random.uniform(3, 6))
        ballast.unlink()
        training.wait()


def hung(world, act):
    """the file system hangs for some seconds, and the trainings elsewhere go on"""
    with world.hang_lock:
        if not world.left:
            return
        training = world.train(world.node(), [(act.id(), 200)], volume="hung")
        world.sleep(6)
        started = time.time()
        world.cause(None, "PrimusLensExporterStuck", seconds=30)
        world.mount.freeze()
        try:
            world.sleep(act.random.uniform(4, 8))
        finally:
            world.mount.thaw()
        world.hangs.append((started, time.time()))
        training.wait()


ACTS = (full, hung)
