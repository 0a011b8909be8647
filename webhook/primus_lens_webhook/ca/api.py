# SPDX-License-Identifier: Apache-2.0
"""One short request to the Kubernetes API, for JSON. Every failure is an ApiError."""

from __future__ import annotations

import json
from typing import Any

from primus_lens_toolkit.kubernetes_api import Api, NotConfigured
from urllib3.exceptions import HTTPError

READ_SECONDS = 5.0
MOST_BYTES = 4 << 20
JSON_PATCH = "application/json-patch+json"


class ApiError(Exception):
    """A request that failed, with the status it was answered with, 0 if it was not."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def call(
    api: Api, method: str, path: str, body: object = None, content_type: str = "application/json"
) -> dict[str, Any]:
    """The object that came back. Raises ApiError."""
    sent = None if body is None else json.dumps(body).encode()
    try:
        response = api.request(method, path, READ_SECONDS, sent, content_type)
        try:
            status, content = response.status, response.read(MOST_BYTES)
        finally:
            response.close()
        answer = json.loads(content) if status < 300 else {}
    except (NotConfigured, HTTPError, OSError, ValueError, RecursionError) as error:
        raise ApiError(f"{method} {path}: {error}") from error
    if status >= 300 or not isinstance(answer, dict):
        raise ApiError(f"{method} {path}: status {status}", status)
    return answer
