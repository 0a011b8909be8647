# SPDX-License-Identifier: Apache-2.0
"""A real exporter process, and records to feed it with."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from support.environment import clean_environ

# Below those that the kernel gives to clients (ip_local_port_range), of which one may be taken
# before the server starts. Each process begins elsewhere, and gives none again for long.
FIRST_PORT, PORTS = 10_000, 22_000
_ports = (FIRST_PORT + number % PORTS for number in itertools.count(os.getpid() * 4_001))


def free_port():
    return next(filter(_is_free, _ports))


def _is_free(port):
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


def until(condition, timeout=15.0):
    """Wait for a condition; returns its first true value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def record(step=1, run="r", timestamp=1.5, **data):
    record = {"timestamp": timestamp, "step": step, "data": data, "run": run}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def late(*arguments, **data):
    """The record of a late row; arguments as for `record`."""
    return record(*arguments, **data)[:-2] + b',"late":true}\n'


def set_link(link, target):
    """As programs do that keep a link to their newest output."""
    new = link.with_name("new")
    new.symlink_to(target)
    os.replace(new, link)


class Exporter:
    def __init__(self, root, *flags, wrapper=(), environ=(), tls=None):
        self.root = root
        self.tls = tls
        self.environ = {**clean_environ(), **dict(environ)}
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.command = [*wrapper, sys.executable, "-m", "primus_lens_cli", "exporter"]
        self.command += ["--web.listen-address", f"127.0.0.1:{self.port}", *flags]
        if root is not None:
            self.command += ["--records.path", root]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.environ, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        self.start()
        # After READY_SECONDS at most: the name of a pod that is being deleted may not be known.
        until(lambda: self.status("/-/ready") == 200, 45)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.log = self.process.communicate(timeout=10)[1]
        assert self.process.returncode == 0, self.log
        assert "Traceback" not in self.log

    def get(self, path, **headers):
        return urllib.request.urlopen(
            urllib.request.Request(self.url + path, headers=headers), timeout=5, context=self.tls
        )

    def status(self, path, **headers):
        try:
            with self.get(path, **headers) as response:
                return response.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None

    def page(self):
        with self.get("/metrics") as response:
            return response.read().decode()

    def series(self):
        """The trainings' part of the page."""
        lines = self.page().splitlines()
        return "\n".join(line for line in lines if line.startswith("primus_lens_wandb_"))

    def value(self, series):
        """The number behind a series written as on the page, or None."""
        for line in self.page().splitlines():
            name, _, number = line.rpartition(" ")
            if name == series:
                return float(number)
        return None

    def wait(self, series, value):
        got = None

        def there():
            nonlocal got
            got = self.value(series)
            return got == value

        with contextlib.suppress(AssertionError):
            return until(there)
        raise AssertionError(f"{series} is {got}, not {value}")

    def lines(self, result, count):
        self.wait(f'primus_lens_exporter_lines_total{{result="{result}"}}', count)

    def events(self, event, count):
        self.wait(f'primus_lens_exporter_file_events_total{{event="{event}"}}', count)

    def refused(self, reason, count):
        self.wait(f'primus_lens_exporter_refused_files_total{{reason="{reason}"}}', count)

    @property
    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
