# SPDX-License-Identifier: Apache-2.0
"""AdmissionReview, version v1: the API server's question and our answer, as bytes.

The answer is always that the pod may be created; the worst that a question can be answered
with is a warning.
"""

from __future__ import annotations

import base64
import logging
import re
from typing import Any, NamedTuple

import orjson

from primus_lens_webhook import decision
from primus_lens_webhook.advice import LONGEST_WARNING
from primus_lens_webhook.decision import Decision, Skip, shown
from primus_lens_webhook.document import Malformed, Object, mapping, text
from primus_lens_webhook.mutate import Mutation, mutate
from primus_lens_webhook.settings import Settings

LONGEST_LOGGED = 256
UID = re.compile(rb'"uid"\s*:\s*"([0-9A-Za-z-]{1,64})"')
HEAD = 4096  # where it is: the first member of the request
MAX_PATCH_BYTES = 256 << 10  # answers wait in memory for clients that are slow to take them

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """`dry_run` is what the question says."""

    body: bytes
    decision: Decision
    dry_run: bool = False


def answer(body: bytes | bytearray, settings: Settings) -> Answer:
    """Answer whatever was sent. Never raises."""
    uid, dry_run, patch = _uid(body), False, b""
    try:
        _check_entries(body, settings.webhook_max_pod_entries)
        question = orjson.loads(body)
        if not isinstance(question, dict):
            raise Malformed("no AdmissionReview")
        request = mapping(question, "request")
        uid, dry_run = text(request, "uid"), request.get("dryRun") is True
        mutation = _decide(request, settings)
        patch = _patch(mutation)
    except Skip as skip:
        mutation = Mutation([], skip.decision)
    except (orjson.JSONDecodeError, Malformed) as error:
        mutation = refused(str(error))
    except Exception:  # a fault of ours must not keep a pod from being created
        log.exception("fault while deciding on a pod", extra={"uid": shown(uid, LONGEST_LOGGED)})
        mutation = refused("internal error; see the log of the webhook")
    return Answer(_written(uid, mutation, patch), mutation.decision, dry_run)


def unread(why: str, reason: str = decision.ERROR) -> Answer:
    """For a question whose body was not taken."""
    mutation = refused(why, reason)
    return Answer(_written("", mutation, b""), mutation.decision)


def refused(why: str, reason: str = decision.ERROR) -> Mutation:
    """Nothing is done, and the pod is not told of it."""
    return Mutation([], decision.skipped(reason, why))


def _uid(body: bytes | bytearray) -> str:
    """Of a question that may not be read whole: API servers take no answer without it."""
    found = UID.search(body, 0, HEAD)
    return found[1].decode("ascii") if found else ""


def _check_entries(body: bytes | bytearray, most: int) -> None:
    """Raises Skip. Counted before it is parsed, since each entry takes time and memory then.

    Each entry but the first of its object or list follows a comma. Commas and brackets within
    texts count too: then the bound is met sooner.
    """
    entries = sum(body.count(each) for each in b"{[,")
    if entries > most:
        raise Skip(decision.TOO_LARGE, f"the pod has more than {most} entries")


def _decide(request: Object, settings: Settings) -> Mutation:
    kind = mapping(request, "kind")
    is_pod = (kind.get("group") or "", kind.get("kind")) == ("", "Pod")
    created = request.get("operation") == "CREATE" and not request.get("subResource")
    pod = mapping(request, "object")
    if not (is_pod and created and pod):
        return Mutation([], Decision(decision.SKIPPED, decision.UNEXPECTED, "no new pod"))
    mutation = mutate(pod, settings)
    name = text(request, "name") or text(mapping(pod, "metadata"), "generateName")
    log.debug(
        "decided",
        extra={
            "namespace": shown(text(request, "namespace"), LONGEST_LOGGED),
            "pod": shown(name, LONGEST_LOGGED),
            "decision": mutation.decision.decision,
            "reason": mutation.decision.reason,
            "containers": shown(",".join(mutation.decision.containers), LONGEST_LOGGED),
        },
    )
    return mutation


def _patch(mutation: Mutation) -> bytes:
    """Raises Skip."""
    patch = orjson.dumps(mutation.operations) if mutation.operations else b""
    if len(patch) > MAX_PATCH_BYTES:
        raise Skip(decision.TOO_LARGE, f"what is to change is longer than {MAX_PATCH_BYTES} bytes")
    return patch


def _written(uid: str, mutation: Mutation, patch: bytes) -> bytes:
    made = mutation.decision
    response: dict[str, Any] = {
        "uid": uid,
        "allowed": True,
        "auditAnnotations": {
            "decision": made.decision,
            "reason": made.reason,
            "containers": ",".join(made.containers),
        },
    }
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    if made.decision == decision.SKIPPED and made.reason not in QUIET:
        warning = f"primus-lens: metrics not injected: {made.reason}: {made.detail}"
        response["warnings"] = [warning[:LONGEST_WARNING]]
    if made.warnings:
        response["warnings"] = [f"primus-lens: {each}"[:LONGEST_WARNING] for each in made.warnings]
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return orjson.dumps(review)


# Nobody needs to be warned that they got what they asked for.
QUIET = {decision.ALREADY, decision.OPTED_OUT, decision.MIRROR, decision.UNEXPECTED}
