# SPDX-License-Identifier: Apache-2.0
"""Reading a backlog: CPU per line against mtail, and how long a scrape waits meanwhile.

Both programs start on the same files and are asked for their page until all lines are in;
their CPU is what the kernel counted for the process. Then both are left alone for a while:
what they use when nobody logs. Last, single lines are written: how long until one is seen.
"""

import contextlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from records import write

RANKS, LINES, KEYS = 512, 400, 10
LINES_SEEN = 20
IDLE_SECONDS, SETTLE_SECONDS = 20, 15
TICK = os.sysconf("SC_CLK_TCK")
MTAIL = r"""
gauge metric by file, key
counter lines_seen
/^\{"timestamp":/ {
  lines_seen++
%s
}
"""


def mtail_program():
    """Takes the ten known keys out of a line; mtail has no loop over unknown ones."""
    rules = []
    for key in range(KEYS):
        rules.append(f'  /"train\\/metric_{key}":(?P<v{key}>[0-9.e-]+)/ {{')
        rules.append(f'    metric[getfilename()]["k{key}"] = $v{key}')
        rules.append("  }")
    return MTAIL % "\n".join(rules)


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(command, url, series, staged, records):
    """CPU seconds for all lines, the longest scrape meanwhile, idle CPU, memory."""
    empty(staged, records)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3)  # started, and has found the files
        before = cpu(process.pid)
        fill(staged, records)
        longest, seen = 0.0, 0
        while seen < RANKS * LINES:
            assert process.poll() is None, f"{command[0]} ended"
            started = time.perf_counter()
            with contextlib.suppress(OSError):
                seen = lines(url, series)
                longest = max(longest, time.perf_counter() - started)
            time.sleep(0.02)
        used = cpu(process.pid) - before
        time.sleep(SETTLE_SECONDS)
        before = cpu(process.pid)
        time.sleep(IDLE_SECONDS)
        idle = (cpu(process.pid) - before) / IDLE_SECONDS
        return used, longest, idle, rss(process.pid), visible(url, series, records)
    finally:
        process.terminate()
        process.wait()


def visible(url, series, records):
    """Seconds until single lines, written at odd moments, are on the page: the longest."""
    path = next(records.rglob("*.jsonl"))
    line = path.read_bytes().splitlines(keepends=True)[0]
    seconds = []
    for _ in range(LINES_SEEN):
        before = lines(url, series)
        time.sleep(random.random())
        with path.open("ab") as file:
            file.write(line)
        written = time.perf_counter()
        while lines(url, series) == before:
            time.sleep(0.002)
        seconds.append(time.perf_counter() - written)
    return statistics.median(seconds), max(seconds)


def lines(url, series):
    with urllib.request.urlopen(url, timeout=60) as page:
        found = re.search(rf"^{re.escape(series)} (\S+)", page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0


def empty(staged, records):
    """The files as they are before anything is logged; mtail starts at the end of a file."""
    shutil.rmtree(records, ignore_errors=True)
    for path in staged.rglob("*.jsonl"):
        target = records / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def fill(staged, records):
    """The backlog, all at once."""
    for path in staged.rglob("*.jsonl"):
        with (records / path.relative_to(staged)).open("ab") as file:
            file.write(path.read_bytes())


def ours(staged, records):
    where = f"127.0.0.1:{port()}"
    command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--log.level", "error"]
    command += ["--records.path", records, "--web.listen-address", where]
    series = 'primus_lens_exporter_lines_total{result="ok"}'
    return watch(command, f"http://{where}/metrics", series, staged, records)


def mtail(staged, records):
    program = records.parent / "training.mtail"
    program.write_text(mtail_program())
    number = port()
    command = ["mtail", "--progs", program, "--logs", f"{records}/*/*/*.jsonl"]
    command += ["--address", "127.0.0.1", "--port", str(number)]
    command += ["--poll_interval", "250ms", "--poll_log_interval", "250ms"]
    series = 'lines_seen{prog="training.mtail"}'
    return watch(command, f"http://127.0.0.1:{number}/metrics", series, staged, records)


def show(name, result, total):
    used, longest, idle, memory, (median, slowest) = result
    print(f"  {name:6} {used / total * 1e6:7.2f} µs CPU a line", end=", ")
    print(f"longest scrape {longest * 1e3:.0f} ms, idle {idle:.2%} of a core, {memory:.1f} MB")
    print(f"         a line is seen after {median * 1e3:.0f} ms, {slowest * 1e3:.0f} ms at most")


def main():
    with tempfile.TemporaryDirectory() as directory:
        staged, records = Path(directory, "staged"), Path(directory, "records")
        total = write(staged, RANKS, LINES, KEYS)
        print(f"{total} lines of {KEYS} keys in {RANKS} files")
        mine = ours(staged, records)
        show("ours", mine, total)
        if shutil.which("mtail") is None:
            print("  mtail is not installed: apt-get install mtail")
            return
        theirs = mtail(staged, records)
        show("mtail", theirs, total)
        print(f"  ratio  CPU a line 1/{theirs[0] / mine[0]:.1f} (goal ≤ 1/8)")
        print(f"  ratio  idle CPU   1/{theirs[2] / max(mine[2], 1e-9):.1f}")


if __name__ == "__main__":
    main()
