# SPDX-License-Identifier: Apache-2.0
"""The parts of a pod's resources that an injection must not disturb."""

from __future__ import annotations

from decimal import Decimal

from primus_lens_webhook.document import Malformed, Object, mapping, objects
from primus_lens_webhook.quantity import quantity

COMPUTE = ("cpu", "memory")
GPUS = "/gpu"  # nvidia.com/gpu, amd.com/gpu
ZERO = Decimal()
MOST_KINDS = 16  # of GPUs in one container
MOST_GPUS = Decimal(1 << 20)  # an integer of 1,000 digits, 9e999, takes long to make
EPHEMERAL_STORAGE = "ephemeral-storage"


def takes_resources(spec: Object) -> bool:
    """Whether an init container may ask for CPU and memory without changing the QoS class.

    With requests equal to limits it fits Guaranteed and Burstable pods. A BestEffort pod has
    neither anywhere; one with resources of its own (pod level, Kubernetes 1.32) is classed by
    these alone. As in pkg/apis/core/v1/helper/qos of Kubernetes, GPUs count for nothing.
    """
    if _compute(spec):
        return False
    return any(_compute(each) for each in _containers(spec))


def ephemeral_limit(spec: Object) -> Decimal | None:
    """What the kubelet evicts the pod above, its emptyDirs included; None: no such limit.

    As the kubelet counts: containers without a limit add nothing to that of the others.
    """
    init = [limit(each, EPHEMERAL_STORAGE) for each in objects(spec, "initContainers")]
    main = [limit(each, EPHEMERAL_STORAGE) for each in objects(spec, "containers")]
    limits = [each for each in (*init, *main) if each]
    if not limits:
        return None
    return max([sum(main, Decimal()), *init])


def gpus(container: Object) -> int:
    """How many the container asks for."""
    names = mapping(mapping(container, "resources"), "limits")
    kinds = [name for name in names if str(name).endswith(GPUS)][:MOST_KINDS]
    return sum(int(min(_amount(names, kind), MOST_GPUS)) for kind in kinds)


def limit(container: Object, resource: str) -> Decimal:
    """A limit of the container, 0 without one. Raises Malformed."""
    return _amount(mapping(mapping(container, "resources"), "limits"), resource)


def _containers(spec: Object) -> list[Object]:
    return [*objects(spec, "initContainers"), *objects(spec, "containers")]


def _compute(holder: Object) -> bool:
    """Whether the container, or the pod, has CPU or memory in its requests or limits."""
    resources = mapping(holder, "resources")
    if not resources:  # as in most of very many containers
        return False
    lists = [mapping(resources, kind) for kind in ("requests", "limits")]
    return any(_amount(each, name) > 0 for each in lists for name in COMPUTE)


def _amount(amounts: Object, name: str) -> Decimal:
    amount = amounts.get(name)
    if not amount:
        return ZERO
    try:
        return quantity(amount)
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
