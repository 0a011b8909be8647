# SPDX-License-Identifier: Apache-2.0
"""AdmissionReview, version v1: the API server's question and our answer, as bytes.

The answer is always that the pod may be created; the worst that a question can be answered
with is a warning.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, NamedTuple

import orjson

from primus_lens_webhook import decision
from primus_lens_webhook.advice import LONGEST_WARNING
from primus_lens_webhook.decision import Decision
from primus_lens_webhook.document import Malformed, Object, mapping, text
from primus_lens_webhook.mutate import Mutation, mutate
from primus_lens_webhook.options import Options

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """`dry_run` is what the question says."""

    body: bytes
    decision: Decision
    dry_run: bool = False


def answer(body: bytes, options: Options) -> Answer:
    """Answer whatever was sent. Never raises."""
    uid, dry_run = "", False
    try:
        question = orjson.loads(body)
        if not isinstance(question, dict):
            raise Malformed("no AdmissionReview")
        request = mapping(question, "request")
        uid, dry_run = text(request, "uid"), request.get("dryRun") is True
        mutation = _decide(request, options)
    except (orjson.JSONDecodeError, Malformed) as error:
        mutation = refused(str(error))
    except Exception:  # a fault of ours must not keep a pod from being created
        log.exception("fault while deciding on a pod", extra={"uid": uid})
        mutation = refused("internal error; see the log of the webhook")
    return Answer(_written(uid, mutation), mutation.decision, dry_run)


def unread(why: str) -> Answer:
    """For a question whose body was not taken."""
    mutation = refused(why)
    return Answer(_written("", mutation), mutation.decision)


def refused(why: str) -> Mutation:
    """Nothing is done, because of an error."""
    return Mutation([], Decision(decision.SKIPPED, decision.ERROR, why))


def _decide(request: Object, options: Options) -> Mutation:
    kind = mapping(request, "kind")
    is_pod = (kind.get("group") or "", kind.get("kind")) == ("", "Pod")
    created = request.get("operation") == "CREATE" and not request.get("subResource")
    pod = mapping(request, "object")
    if not (is_pod and created and pod):
        return Mutation([], Decision(decision.SKIPPED, decision.UNEXPECTED, "no new pod"))
    mutation = mutate(pod, options)
    log.debug(
        "decided",
        extra={
            "namespace": request.get("namespace"),
            "pod": request.get("name") or mapping(pod, "metadata").get("generateName"),
            "decision": mutation.decision.decision,
            "reason": mutation.decision.reason,
            "containers": ",".join(mutation.decision.containers),
        },
    )
    return mutation


def _written(uid: str, mutation: Mutation) -> bytes:
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
    if mutation.operations:
        patch = orjson.dumps(mutation.operations)
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
