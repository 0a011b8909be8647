# SPDX-License-Identifier: Apache-2.0
"""Whether a pod may run on a node that the payload is not for. It raises Skip then.

Node selector and required node affinity count. A pod that says nothing is taken to run where
the payload does; one that names another platform beside ours is not sure to.
"""

from __future__ import annotations

from primus_lens_webhook import decision
from primus_lens_webhook.decision import Skip
from primus_lens_webhook.document import Object, mapping, objects, strings, text

OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
ARCH_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
SYSTEMS = ("linux",)
ARCHITECTURES = ("amd64", "arm64")  # those that the image is built for


def check_platform(spec: Object) -> None:
    """Raises Skip for a pod that may run elsewhere than on Linux and a known architecture."""
    if text(mapping(spec, "os"), "name") not in ("", *SYSTEMS):
        raise Skip(decision.OS, "the hook is for Linux")
    for term in _terms(spec):
        if _is_foreign(spec, term, OS_LABELS, SYSTEMS):
            raise Skip(decision.OS, "the hook is for Linux")
        if _is_foreign(spec, term, ARCH_LABELS, ARCHITECTURES):
            raise Skip(decision.ARCH, "the image is built for " + " and ".join(ARCHITECTURES))


def _terms(spec: Object) -> list[Object]:
    """Of the required node affinity, any of which is enough; one that says nothing if none."""
    affinity = mapping(mapping(spec, "affinity"), "nodeAffinity")
    required = mapping(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
    return objects(required, "nodeSelectorTerms") or [{}]


def _is_foreign(spec: Object, term: Object, labels: tuple[str, ...], ours: tuple[str, ...]) -> bool:
    """Whether a node that the term selects may have another value than ours."""
    selector = mapping(spec, "nodeSelector")
    lists = [{text(selector, label)} for label in labels if text(selector, label)]
    excluded: set[str] = set()
    for each in objects(term, "matchExpressions"):
        if each.get("key") not in labels:
            continue
        if each.get("operator") == "In":
            lists.append(set(strings(each, "values")))
        elif each.get("operator") == "NotIn":
            excluded.update(strings(each, "values"))
    if not lists:
        return excluded.issuperset(ours)
    return not (set.intersection(*lists) - excluded).issubset(ours)
