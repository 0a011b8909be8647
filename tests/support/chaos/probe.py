# SPDX-License-Identifier: Apache-2.0
"""Asks the exporter for its page and its health all the time, and notes how long it takes."""

import http.client
import threading
import time
from typing import NamedTuple

PATHS = ("/-/healthy", "/metrics")
PAUSE = 0.2
PATIENCE = 10.0


class Answer(NamedTuple):
    at: float  # Unix seconds
    path: str
    seconds: float
    problem: str


class Probe:
    """`paused` is the longest time by which this machine was late in waking the probe."""

    def __init__(self, port):
        self.answers, self.paused = [], 0.0
        self._port, self._ended = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in PATHS]
        self._threads += [threading.Thread(target=self._heed_pauses)]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for each in self._threads:
            each.join()

    def _ask(self, path):
        while not self._ended.wait(PAUSE):
            at, begun = time.time(), time.monotonic()
            problem = self._problem(path)
            self.answers.append(Answer(at, path, time.monotonic() - begun, problem))

    def _problem(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return "" if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()

    def _heed_pauses(self):
        while not self._ended.is_set():
            before = time.monotonic()
            time.sleep(PAUSE)
            self.paused = max(self.paused, time.monotonic() - before - PAUSE)
