# SPDX-License-Identifier: Apache-2.0
"""Reading a backlog: CPU per line against mtail, and how long a scrape waits meanwhile.

Both programs start on the same files and are asked for their page until all lines are in;
their CPU is what the kernel counted for the process. Then both are left alone for a while:
what they use when nobody logs.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from records import write

RANKS, LINES, KEYS = 512, 400, 10
IDLE_SECONDS = 20
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
    match = (
        '  /"train\\/metric_{0}":(?P<v{0}>[0-9.e-]+)/ {{ metric[getfilename()]["k{0}"] = $v{0} }}'
    )
    return MTAIL % "\n".join(match.format(key) for key in range(KEYS))


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(command, url, series, total):
    """CPU seconds for all lines, the longest scrape meanwhile, idle CPU, memory."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    longest, seen = 0.0, 0
    try:
        while seen < total:
            assert process.poll() is None, f"{command[0]} ended"
            started = time.perf_counter()
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as page:
                found = re.search(rf"^{re.escape(series)} (\S+)", page.read().decode(), re.M)
                seen = float(found[1]) if found else 0
                longest = max(longest, time.perf_counter() - started)
            time.sleep(0.02)
        used = cpu(process.pid)
        time.sleep(15)
        before = cpu(process.pid)
        time.sleep(IDLE_SECONDS)
        idle = (cpu(process.pid) - before) / IDLE_SECONDS
        return used, longest, idle, rss(process.pid)
    finally:
        process.terminate()
        process.wait()


def ours(records, total):
    where = f"127.0.0.1:{port()}"
    command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--log.level", "error"]
    command += ["--records.path", records, "--web.listen-address", where]
    series = 'primus_lens_exporter_lines_total{result="ok"}'
    return watch(command, f"http://{where}/metrics", series, total)


def mtail(directory, records, total):
    program = Path(directory, "training.mtail")
    program.write_text(mtail_program())
    number = port()
    command = ["mtail", "--progs", str(program), "--logs", f"{records}/*/*/*.jsonl"]
    command += ["--address", "127.0.0.1", "--port", str(number), "--poll_interval", "250ms"]
    command += ["--poll_log_interval", "250ms", "--disable_fsnotify"]
    series = 'lines_seen{prog="training.mtail"}'
    return watch(command, f"http://127.0.0.1:{number}/metrics", series, total)


def show(name, result, total):
    used, longest, idle, memory = result
    print(
        f"  {name:6} {used / total * 1e6:7.2f} µs CPU a line, longest scrape {longest * 1e3:6.0f} ms, "
        f"idle {idle:6.2%} of a core, {memory:5.1f} MB"
    )


def main():
    with tempfile.TemporaryDirectory() as directory:
        records = f"{directory}/records"
        total = write(records, RANKS, LINES, KEYS)
        print(f"{total} lines of {KEYS} keys in {RANKS} files")
        mine = ours(records, total)
        show("ours", mine, total)
        if shutil.which("mtail") is None:
            print("  mtail is not installed: apt-get install mtail")
            return
        theirs = mtail(directory, records, total)
        show("mtail", theirs, total)
        print(f"  ratio  CPU a line 1/{theirs[0] / mine[0]:.1f} (goal ≤ 1/8)")
        print(f"  ratio  idle CPU   1/{theirs[2] / max(mine[2], 1e-9):.1f}")


if __name__ == "__main__":
    main()
