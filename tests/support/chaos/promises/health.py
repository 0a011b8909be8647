# SPDX-License-Identifier: Apache-2.0
"""The exporter answers in time while it is up, has no fault, ends when told, logs no traceback."""

from support.chaos.finding import Finding


def check(world, answers):
    yield from _answers(world)
    yield from _scrapes(world, answers)
    if faults := [at for at, value in answers.faults if value > 0]:
        yield _finding("faults", len(faults), "scrapes with faults_total above 0", faults[0])
    log = world.exporter.log_path.read_text()
    if count := log.count("Traceback"):
        yield _finding("traceback", count, log[log.index("Traceback") :][:2000], 0)
    for at, text in world.exporter.problems:
        yield _finding("process", 1, text, at)


def _finding(what, count, example, at):
    return Finding(f"health: {what}", "exporter", "", count, example, at)


def _up(world, start, end):
    """Whether it was up all the time."""
    return world.exporter.seconds_up(start, end) >= end - start


def _answers(world):
    bound = world.settings.answer + world.delays.paused
    slow = {}
    for answer in world.probe.answers:
        end = answer.at + answer.seconds
        if (answer.seconds > bound or answer.problem) and _up(world, answer.at, end):
            slow.setdefault(answer.path, []).append(answer)
    for path, each in slow.items():
        worst = max(each, key=lambda answer: answer.seconds)
        text = f"{path} {worst.problem} after {worst.seconds:.1f} s at the worst"
        yield _finding(f"slow {path}", len(each), text, each[0].at)


def _scrapes(world, answers):
    late = world.settings.scrape_late
    failed = [at for at, up in answers.up if up == 0 and _up(world, at - 0.2, at + late)]
    if failed:
        yield _finding("failed scrapes", len(failed), "up is 0", failed[0])
