# SPDX-License-Identifier: Apache-2.0
"""Requests and limits of containers: what an injection may use, and must not change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from primus_lens_webhook.document import Malformed, Object, mapping, objects
from primus_lens_webhook.quantity import quantity

GPUS = "/gpu"  # nvidia.com/gpu, amd.com/gpu
ZERO = Decimal()
MOST_KINDS = 16  # of GPUs in one container
MOST_GPUS = Decimal(1 << 20)  # an integer of 1,000 digits, 9e999, takes long to make
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
COMPUTE = ("cpu", MEMORY, EPHEMERAL_STORAGE)


def compute_resources(container: Object) -> dict[str, dict[str, Any]]:
    """Requests and limits of the container, but for devices and claims. Raises Malformed.

    A container with the same ones leaves the QoS class of the pod as it is.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in ("requests", "limits"):
        amounts = mapping(mapping(container, "resources"), kind)
        copied = {name: amounts[name] for name in COMPUTE if amounts.get(name) is not None}
        for name in copied:
            _amount(amounts, name)
        if copied:
            found[kind] = copied
    return found


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


def _amount(amounts: Object, name: str) -> Decimal:
    amount = amounts.get(name)
    if not amount:
        return ZERO
    try:
        return quantity(amount)
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
