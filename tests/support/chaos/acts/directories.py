# SPDX-License-Identifier: Apache-2.0
"""What people and programs do to rank directories: copy, mirror, tidy up, begin anew."""

import json
import os
import shutil
import time

from support.chaos.acts.trainings import FAST, SEGMENTS, STALLED

HIDDEN = ".mirrored"


def copies(world, act):
    """cp -r of a rank directory beside it and later over it, files in any order"""
    node, copy = world.node(), world.node()
    lines = int(FAST * 20)
    training = world.train(node, [(act.id(), lines)], rate=FAST, max_bytes=SEGMENTS)
    # Nobody writes to a copy: it looks like a rank that has stopped.
    world.cause(act.id(), *STALLED, "PrimusLensRankMissing", "PrimusLensRanksDiverged")
    passes = []
    if act.random.random() < 0.5:
        world.sleep(12)
        passes += [_copy(world, act, node, copy)]
    training.wait()
    world.sleep(act.random.choice((0, world.settings.grace + 4)))
    passes += [_copy(world, act, node, copy)]
    _derive(world, act, node, copy, passes)


def mirrors(world, act):
    """rsync of a directory: each time a new inode with the same head, and longer"""
    source, node = world.node(), world.node()
    root = world.path("outside")
    training = world.train(source, [(act.id(), 150)], root=root, volume="outside")
    passes = []
    while training.process.poll() is None or len(passes) < 2:
        world.sleep(2)
        passes += [_mirror(world, act, source, node)]
    passes += [_mirror(world, act, source, node)]
    _derive(world, act, source, node, passes)


def removals(world, act):
    """old segments of a training that goes on are removed"""
    node = world.node()
    lines = int(FAST * 35)
    training = world.train(node, [(act.id(), lines)], rate=FAST, max_bytes=4 * SEGMENTS // 3)
    for _ in range(3):
        world.sleep(10)
        _remove_oldest(world, act, node)
    training.wait()


def anew(world, act):
    """a rank directory is removed, and begun again by another process of the same run"""
    node = world.node()
    world.train(node, [(act.id(), 60)], finish=False, idle=0).wait()
    world.sleep(world.settings.lag)
    at = time.time()
    shutil.rmtree(world.rank(node))
    world.sleep(act.random.uniform(0, 3))
    again = {"id": act.id(), "first": 60, "step": 60, "count": 60}
    world.train(node, [again]).wait()
    world.copies.append(lambda: world.oracle.life(node, 0, act.id()).anew.append(at))


def _copy(world, act, node, copy):
    """`cp -r`, which writes over files that are there; returns (before, after, {n})."""
    source, target = world.rank(node), world.rank(copy)
    target.mkdir(parents=True, exist_ok=True)
    names = sorted(os.listdir(source))
    act.random.shuffle(names)
    before = time.time()
    for name in names:
        try:
            shutil.copyfile(source / name, target / name)
        except FileNotFoundError:  # rotated away meanwhile
            continue
    return before, time.time(), world.numbers(target).get(act.id(), set())


def _mirror(world, act, source, node):
    """`rsync -t`: each file is written under another name, and renamed."""
    origin = world.rank(source, volume="outside")
    target = world.rank(node)
    target.mkdir(parents=True, exist_ok=True)
    before = time.time()
    for path in sorted(origin.glob("wandb_*")):
        shutil.copy2(path, target / HIDDEN)
        os.replace(target / HIDDEN, target / path.name)
    return before, time.time(), world.numbers(target).get(act.id(), set())


def _derive(world, act, node, copy, passes):
    def derive():
        source = world.oracle.life(node, 0, act.id())
        world.oracle.derive(source, copy, passes)
        if source.volume == "outside":
            del world.oracle.lives[source.who]

    world.copies.append(derive)


def _remove_oldest(world, act, node):
    segments = [*world.rank(node).glob("wandb_metrics.*.jsonl")]
    if not segments:
        return
    oldest = min(segments, key=lambda path: int(path.name.split(".")[1]))
    numbers = {int(line["data"]["n"]) for line in _records(oldest)}
    at = time.time()
    oldest.unlink(missing_ok=True)
    life = world.oracle.life(node, 0, act.id())
    world.removed.append((life.who, numbers, at))


def _records(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


ACTS = (copies, mirrors, removals, anew)
