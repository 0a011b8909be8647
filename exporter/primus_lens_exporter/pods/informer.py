# SPDX-License-Identifier: Apache-2.0
"""List-watch informer: lists the pods, then watches from there, in a thread of its own.

The thread never dies and never spins, whatever the API does; while nothing can be learnt,
the cache stays as it is. It never asks for more than `list` and `watch` on pods.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Collection
from typing import NamedTuple

from primus_lens_toolkit.kubernetes_api import Api
from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_exporter.model.pod import Pod
from primus_lens_exporter.pods import decoder
from primus_lens_exporter.pods import telemetry as results
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.request import RequestFailed, Requests, Stopped, status_failure
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry

PAGE_PODS = 500
RESUMES = 3  # after so many failures in a row the place to go on from is no longer trusted
LONGEST_RETRY_AFTER = 60.0  # seconds, whatever the API wishes
STOP_SECONDS = 2.0

ADVICE = {
    results.FORBIDDEN: "give its service account `list` and `watch` on `pods` in a ClusterRole",
    results.UNAUTHORIZED: "its credentials are not accepted; they are read anew at each try",
}

log = logging.getLogger(__name__)


class Pace(NamedTuple):
    """How patient the watch is, in seconds."""

    watch: float = 60.0
    """After which the API ends each watch; in between it may have nothing to say."""

    margin: float = 15.0
    """How much later than that a connection counts as dead."""

    first: float = 1.0
    """The shortest pause, after a first failure; it doubles with each further one."""

    longest: float = 30.0


PACE = Pace()


class PodInformer:
    """Keeps a cache of the pods of one node, or of all nodes where `node` is empty."""

    def __init__(
        self,
        api: Api,
        cache: PodCache,
        telemetry: KubernetesTelemetry,
        node: str = "",
        allowed_labels: Collection[str] = (),
        pace: Pace = PACE,
    ) -> None:
        self._api = api
        self._cache = cache
        self._telemetry = telemetry
        self._selector = {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        self._allowed = frozenset(allowed_labels)
        self._pace = pace
        self._requests = Requests(api, telemetry)
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)
        self._version = ""  # where the next watch begins; empty: list first
        self._page_pods = PAGE_PODS
        self._failures = 0
        self._failed_at = 0.0
        self._warn = WarnOnce(log)

    def start(self) -> None:
        """Begin; returns at once, whether or not the API is there."""
        self._thread.start()

    def stop(self) -> None:
        """End within STOP_SECONDS; a connection that is just being made ends with the process."""
        self._requests.stop()
        self._thread.join(STOP_SECONDS)
        self._api.close()

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                self._watch()
                pause = began + self._pace.first - time.monotonic()  # if it ended at once
            except RequestFailed as failure:
                pause = self._after(failure)
            except Stopped:
                return
            except Exception as error:  # a fault of ours must not end it either
                log.exception("fault while following pods")
                pause = self._after(RequestFailed(results.FAULT, str(error)))
            if self._requests.stopping.wait(max(0.0, pause)):
                return

    def _list(self) -> None:
        pods: dict[str, Pod] = {}
        query = {**self._selector, "limit": str(self._page_pods)}
        while True:
            with self._requests.page(query, self._pace.longest) as body:
                page = decoder.page(body, self._allowed)
            pods |= {pod.uid: pod for pod in page.pods}
            self._telemetry.skipped.inc(page.skipped)
            if not page.following:
                break
            query["continue"] = page.following
        self._cache.replace(pods.values())
        self._version = page.version
        self._page_pods = min(PAGE_PODS, 2 * self._page_pods)

    def _watch(self) -> None:
        query = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",  # else an idle watch's version grows too old
            "resourceVersion": self._version,
            "timeoutSeconds": str(math.ceil(self._pace.watch)),
        }
        with self._requests.lines(query, self._pace.watch + self._pace.margin) as lines:
            for line in lines:
                self._take(decoder.event(line, self._allowed))
                self._fine()
        self._cache.forget()
        self._fine()

    def _take(self, event: decoder.Event) -> None:
        if event.type == decoder.ERROR:
            self._version = ""
            raise status_failure(event.code, "an event of the watch")
        if event.pod is not None:
            self._cache.put(event.pod)
            if event.type == decoder.DELETED:
                self._cache.remove(event.pod.uid)
        elif event.type in decoder.OF_PODS:
            self._telemetry.skipped.inc()
        self._version = event.version or self._version

    def _after(self, failure: RequestFailed) -> float:
        """Draw the conclusions; returns how long to wait."""
        now = time.monotonic()
        if now - self._failed_at > 2 * self._pace.longest:
            self._failures = 0
        self._failures += 1
        self._failed_at = now
        self._tell(failure)
        if failure.result in {results.GONE, results.GARBLED} or self._failures >= RESUMES:
            self._version = ""
        if failure.result == results.GARBLED:  # it may have been too long
            self._page_pods = max(1, self._page_pods // 2)
        if failure.result == results.UNAUTHORIZED:
            self._api.reload()
        return self._pause(failure)

    def _pause(self, failure: RequestFailed) -> float:
        if failure.result == results.FORBIDDEN:
            return self._pace.longest
        doubled = self._pace.first * (1 << min(self._failures - 1, 10))
        jitter = random.uniform(0.75, 1.25)  # noqa: S311 - so that not all nodes come at once
        wished = min(failure.retry_after, LONGEST_RETRY_AFTER)
        return max(wished, min(doubled, self._pace.longest) * jitter)

    def _tell(self, failure: RequestFailed) -> None:
        advice = ADVICE.get(failure.result, "trying again; what is known stays")
        said = {"result": failure.result, "detail": failure.detail, "advice": advice}
        self._warn(failure.result, "trouble with the Kubernetes API", **said)

    def _fine(self) -> None:
        if self._warn.over():
            log.info("the Kubernetes API answers again")
