# SPDX-License-Identifier: Apache-2.0
"""What a run has found, as text: each kind of finding with its number and its first examples."""

import time

EXAMPLES = 3


def of(findings):
    """Lines of text; findings of one promise and one kind of act are put together."""
    kinds = {}
    for each in findings:
        kinds.setdefault((each.promise, each.kind), []).append(each)
    for (promise, kind), each in sorted(kinds.items()):
        count = sum(one.count for one in each)
        where = f", acts {kind}" if kind else ""
        yield f"\n{promise}{where}: {count} in {len(each)} run{'s' * (len(each) > 1)}"
        for one in each[:EXAMPLES]:
            at = time.strftime("%T", time.localtime(one.at)) if one.at else "--"
            yield f"  {at} {one.about}: {one.count} x {one.example}"


def totals(findings):
    """The issue's own sentence: samples lost, doubled and false, and alerts without a cause."""
    lost, doubled, false = (
        sum(each.count for each in findings if each.promise == f"sent: {what}")
        for what in ("lost", "doubled", "false")
    )
    alerts = sum(each.promise.startswith("alerts") for each in findings)
    others = sum(not each.promise.startswith(("sent", "alerts")) for each in findings)
    return (
        f"samples lost {lost}, doubled {doubled}, false {false}; "
        f"alerts without a cause {alerts}; other broken promises {others}"
    )


def speed(world):
    """How fast the exporter answered while it was up."""
    for path in ("/metrics", "/-/healthy"):
        times = sorted(each.seconds for each in world.probe.answers if each.path == path)
        if times:
            p99 = times[int(len(times) * 0.99)]
            yield f"{path}: {len(times)} answers, p99 {p99 * 1000:.0f} ms, worst {times[-1]:.2f} s"
    yield f"the machine was late by {world.delays.paused:.2f} s at the worst"
