# SPDX-License-Identifier: Apache-2.0
"""The thin edge to the `kubernetes` client: where the API is, who we are to it, and bytes.

Of that client only its configuration and its connections are used. Its models cost 77 times
what msgspec does, and its own retries sleep where nothing can stop them.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from primus_lens_toolkit.errors import CannotStart

CONNECT_SECONDS = 5.0
KUBECONFIG = "~/.kube/config"

log = logging.getLogger(__name__)


class NotConfigured(CannotStart):
    """Nothing says where the API is, or it makes no sense; the text says what to do."""


class Api:
    """The Kubernetes API of KUBECONFIG, of `~/.kube/config`, or of the cluster we run in."""

    def __init__(self, user_agent: str = "primus-lens") -> None:
        """Raises NotConfigured; whether the API is there is another matter."""
        self._user_agent = user_agent
        self._configure()

    def reload(self) -> None:
        """Read where the API is and who we are anew, after a status 401."""
        try:
            self._configure()
        except NotConfigured as error:  # its files are just being replaced, or will be
            log.warning("cannot read the credentials for Kubernetes", extra={"error": str(error)})

    def _configure(self) -> None:
        # Only here, since it costs 20 MB of memory: a laptop's exporter never pays for it.
        from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415

        configuration = Configuration()
        try:
            _load(configuration)
            client = ApiClient(configuration)
        except Exception as error:  # what a kubeconfig may be wrong in has no common base
            raise NotConfigured(_advice(error)) from error
        self._configuration: Any = configuration
        self._pool: urllib3.PoolManager = client.rest_client.pool_manager

    def get(
        self, path: str, query: Mapping[str, str], read_seconds: float
    ) -> urllib3.BaseHTTPResponse:
        """Ask; see `request`."""
        return self.request("GET", f"{path}?{urlencode(query)}", read_seconds)

    def request(
        self,
        method: str,
        path: str,
        read_seconds: float,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> urllib3.BaseHTTPResponse:
        """The body is still to be read, and the response to be closed, by the caller.

        `read_seconds` is the longest that may pass without a byte. Raises NotConfigured and
        urllib3.exceptions.HTTPError; a status that tells of an error is no error here.
        """
        headers = {"Accept": "application/json", "User-Agent": self._user_agent}
        if body is not None:
            headers["Content-Type"] = content_type
        try:  # where a token is old, this reads its file or runs its command
            schemes = self._configuration.auth_settings().values()
        except Exception as error:
            raise NotConfigured(_advice(error)) from error
        headers |= {scheme["key"]: scheme["value"] for scheme in schemes}
        return self._pool.request(
            method,
            f"{self._configuration.host}{path}",
            body=body,
            headers=headers,
            preload_content=False,
            retries=False,  # else urllib3 sleeps as long as a Retry-After says
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _load(configuration: Any) -> None:
    from kubernetes import config  # noqa: PLC0415

    load: Any = config.load_incluster_config
    path = os.environ.get("KUBECONFIG") or os.path.expanduser(KUBECONFIG)  # noqa: PTH111
    if os.environ.get("KUBECONFIG") or os.path.exists(path):  # noqa: PTH110
        load = functools.partial(config.load_kube_config, path, persist_config=False)
    load(client_configuration=configuration)


def _advice(error: Exception) -> str:
    reason = " ".join(str(error).split()).rstrip(".")
    return (
        f"no way to the Kubernetes API ({reason}); run in a pod with a service account, or set "
        "KUBECONFIG to a file that works with kubectl"
    )
