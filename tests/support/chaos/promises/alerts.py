# SPDX-License-Identifier: Apache-2.0
"""No alert fires but for a cause that an act has made."""

from support.chaos.finding import Finding

DOWN, FOR = "PrimusLensExporterDown", 300.0  # seconds, before they are shortened


def check(world, answers):
    for labels, samples in answers.firing.items():
        named = dict(labels)
        alert, run_id = named["alertname"], named.get("run_id")
        wrong = [at for at, _ in samples if not _caused(world, alert, run_id, at)]
        if wrong:
            kind = (run_id or "").partition("-")[0]
            text = f"for {len(samples)} s"
            yield Finding(f"alerts: {alert}", run_id or "-", kind, len(wrong), text, wrong[0])


def _caused(world, alert, run_id, at):
    if alert == DOWN and _was_down(world, at):
        return True
    return any(
        alert in cause.alerts and cause.run_id in (None, run_id) and cause.start <= at <= cause.end
        for cause in world.causes
    )


def _was_down(world, at):
    """Whether no act left the exporter alone for long enough for a scrape or two."""
    start = at - FOR / world.settings.factor
    return world.exporter.seconds_up(start, at) < world.delays.lag
