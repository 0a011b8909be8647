# SPDX-License-Identifier: Apache-2.0
"""What the queries of all boards share: matchers, labels, keys, and the filter by rank.

Queries are texts; `expand` puts in what begins with `@`. Pure: no Grafana.
"""

from __future__ import annotations

import re
import textwrap

CLUSTER = 'cluster=~"$cluster"'
NAMESPACE = f'{CLUSTER}, namespace=~"$namespace"'
# A variable that is All is `.*`, which also matches series that lack the label: without
# Kubernetes there is no namespace and no pod, and with one Prometheus there is no cluster.
SHORT = {
    "@cluster": CLUSTER,
    "@pod": f'{NAMESPACE}, pod=~"$pod"',
    "@run": f'{NAMESPACE}, run_id=~"$run"',
    "@rank": f'{NAMESPACE}, run_id=~"$run", pod=~"$pod"',
    "@by_container": "cluster, namespace, pod, container, node, node_rank",
    "@by_place": "cluster, namespace, pod, container, node, node_rank, local_rank",
    "@by_rank": "cluster, namespace, pod, container, node, node_rank, local_rank, run_id",
    "@by_run": "cluster, namespace, run_id",
}

# Keys as the usual trainings log them: Hugging Face's Trainer, Lightning, Megatron and Primus,
# torchtitan, torchtune, Composer (`loss/train/total`, `l2_norm/grad/global`, `lr-Adam/group0`).
LOSS_KEYS = "(.*[/ _.-])?loss(_step|_epoch|/train/total)?"
GRADIENT_KEYS = "(.*[/ _.-])?grad(ient)?[ _-]?norm|l2_norm/grad/global|grad_2(.0)?_norm_total"
LOSS = f'key=~"{LOSS_KEYS}"'
TRAINING_LOSS = f'{LOSS}, key!~".*(eval|val|test).*"'
LEARNING_RATE = 'key=~"(.*[/ _.-])?(lr|learning[ _-]?rate)([/ _.-].*)?"'
GRADIENT_NORM = f'key=~"{GRADIENT_KEYS}"'

# As primus_lens:steps_per_second and primus_lens:seconds_since_last_record, so that boards show
# them where the recording rules are not loaded.
STEPS_PER_SECOND = "max by (@by_rank) (clamp_min(deriv(primus_lens_wandb_step{@rank}[5m]), 0))"
AGE = "(time() - max by (@by_rank) (primus_lens_wandb_last_record_timestamp_seconds{@rank}))"
STEP = "max by (@by_rank) (primus_lens_wandb_step{@rank})"

# One run of each container, and of each pod, or a join with them would fail as a whole.
RUN_OF_CONTAINER = (
    "topk by (cluster, namespace, pod, container) (1, primus_lens:run_of_container{@rank})"
)
RUN_OF_POD = "topk by (cluster, namespace, pod) (1, primus_lens:run_of_container{@rank})"


def expand(query: str) -> str:
    """The query as Grafana gets it."""
    text = textwrap.dedent(query).strip()
    return re.sub("|".join(sorted(SHORT, reverse=True)), lambda short: SHORT[short[0]], text)


def ranked(query: str) -> str:
    """Only the ranks of `$rank`, with a label `rank`.

    A rank is `node_rank` and `local_rank`, two labels, and Prometheus matches no label that a
    query makes. So the label `kept` is given to the chosen ones alone, and then asked for.
    """
    joined = f'label_join({query}, "rank", "/", "node_rank", "local_rank")'
    return (
        f'(label_replace({joined}, "kept", "yes", "rank", "$rank")'
        ' and on (kept) label_replace(vector(1), "kept", "yes", "", ""))'
    )


def of_node(query: str) -> str:
    """What node_exporter says of an `instance`, with the run of each container on that node."""
    return f"""max by (cluster, node) (
  label_replace(
    ({query}) * on (cluster, instance) group_left (nodename)
      max by (cluster, instance, nodename) (node_uname_info{{@cluster}}),
    "node", "$1", "nodename", "(.+)"
  )
) * on (cluster, node) group_right () primus_lens:run_of_container{{@rank}}"""


def of_uuid(query: str) -> str:
    """What dcgm-exporter says of a GPU, with the run that uses it."""
    return f"""max by (uuid) (label_replace({query}, "uuid", "$1", "UUID", "(.+)"))
  * on (uuid) group_right () primus_lens:gpu_of_run{{@rank}}"""


def of_amd(query: str) -> str:
    """What AMD's exporter says of a GPU, with the run of the pod that has it."""
    return f"""max by (cluster, namespace, pod, gpu) (
  label_replace({query}, "gpu", "$1", "gpu_id", "(.+)")
) * on (cluster, namespace, pod) group_left (node, node_rank, run_id, project, workload)
  {RUN_OF_POD}"""


def of_container(query: str) -> str:
    """What our own samples say of a container or its GPUs, with its run."""
    return f"""({query})
  * on (@by_container) group_left (run_id, project, workload)
  primus_lens:run_of_container{{@rank}}"""
