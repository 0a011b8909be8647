# SPDX-License-Identifier: Apache-2.0
"""What trainings do by themselves: begin, end, resume, rotate, are killed, stall, set the clock."""

from support.chaos.launcher import RATE

SEGMENTS = 128 << 10  # bytes that a rank keeps: four segments of nine seconds
PAST = 40_000  # lines
FAST = 30.0  # lines a second
STALLED = ("PrimusLensTrainingStalled", "PrimusLensThroughputDrop")


def steady(world, act):
    """log on two ranks of a run until the end, then finish"""
    lines = int(world.left * RATE)
    node = world.node()
    ranks = [world.train(node, [(act.id(), lines)], local=local) for local in (0, 1)]
    for each in ranks:
        each.wait()


def backlogs(world, act):
    """a rank with a past of 40,000 lines, which no exporter reads at once, goes on logging"""
    lines = PAST + int(world.left * RATE)
    world.cause(act.id(), *STALLED, seconds=15)  # until the past has been written
    world.train(world.node(), [(act.id(), lines)], past=PAST).wait()


def wandbs(world, act):
    """a training with wandb itself"""
    directory = str(world.path("outside"))
    world.train(world.node(), [(act.id(), 100)], wandb=directory).wait()


def starts(world, act):
    """three short runs one after the other in one rank, each finished"""
    lines = [act.random.randint(20, 60) for _ in range(3)]
    runs = [(act.id(number), count) for number, count in enumerate(lines)]
    world.train(world.node(), runs).wait()


def resumes(world, act):
    """finish, wait until the grace is over, resume the same run from a checkpoint"""
    node, first = world.node(), act.random.randint(40, 80)
    world.train(node, [(act.id(), first)]).wait()
    world.sleep(act.random.choice((1, world.settings.grace + 5)))
    again = {"id": act.id(), "first": first, "step": first - 5, "count": 60}
    world.train(node, [again]).wait()


def kills(world, act):
    """kill -9 of a training, which then resumes, or begins another run in its place"""
    node = world.node()
    training = world.train(node, [(act.id(), 10_000)])
    world.sleep(act.random.uniform(4, 8))
    training.kill()
    world.sleep(act.random.uniform(0, 4))
    if act.random.random() < 0.5:
        again = {"id": act.id(), "first": 10_000, "step": 20, "count": 50}
        world.train(node, [again]).wait()
    else:
        world.cause(act.id(), *STALLED)  # until another run logs there
        world.train(node, [(act.id(1), 50)]).wait()
    world.cause(act.id(), *STALLED)


def sweeps(world, act):
    """200 runs of a few lines in one process and one rank, and a long one at their end"""
    runs = [(act.id(number), act.random.randint(2, 4)) for number in range(200)]
    world.train(world.node(), [*runs, (act.id(200), 200)], rate=20.0).wait()


def rotations(world, act):
    """log fast with small segments, which the hook rotates and deletes"""
    lines = int(FAST * min(40, max(10, world.left)))
    world.train(world.node(), [(act.id(), lines)], rate=FAST, max_bytes=SEGMENTS).wait()


def pairs(world, act):
    """two processes of one rank log to one run, each into a file of its own"""
    node, lines = world.node(), act.random.randint(80, 160)
    other = {"id": act.id(), "first": 100_000, "step": 0, "count": lines}
    both = [world.train(node, [(act.id(), lines)]), world.train(node, [other])]
    for each in both:
        each.wait()
    world.copies.append(lambda: _by_time(world, node, act))


def clocks(world, act):
    """the training's clock is set ahead or back by seconds or minutes"""
    offset = act.random.choice((-120, -30, -3, 3, 30, 120))
    world.cause(act.id(), *STALLED)  # which go by the time of the newest record
    world.train(world.node(), [(act.id(), 120)], offsets={"50": offset}).wait()
    world.copies.append(lambda: _stepped(world, act))


def nans(world, act):
    """a loss that becomes NaN, and an alert that says so"""
    world.cause(act.id(), "PrimusLensLossNotFinite")
    world.train(world.node(), [(act.id(), 150)], nan_from=40).wait()


def stalls(world, act):
    """a training that stands still for longer than the alert's threshold"""
    training = world.train(world.node(), [(act.id(), 120)])
    world.sleep(5)
    world.cause(act.id(), *STALLED)
    training.pause(600 / world.settings.factor + 6)
    training.wait()


def _by_time(world, node, act):
    world.oracle.life(node, 0, act.id()).by_time = True


def _stepped(world, act):
    for who, life in world.oracle.lives.items():
        life.stepped |= who.run_id == act.id()


ACTS = (
    steady,
    backlogs,
    wandbs,
    starts,
    resumes,
    kills,
    sweeps,
    rotations,
    pairs,
    clocks,
    nans,
    stalls,
)
