#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests on a cluster, on one that is made for them with kind and deleted afterwards.
#
#   NODE_IMAGE   of the node, which is its Kubernetes: the notes of each release of kind list them,
#                https://github.com/kubernetes-sigs/kind/releases [the one that kind is for]
#   KEEP=1       leaves the cluster, and says how to reach and to delete it
#
# The user's kubeconfig is not touched. The node is a container, so what has to run on the node
# itself is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "kind-e2e: $1" >&2
    exit 1
}

for each in docker kind kubectl; do
    command -v $each >/dev/null || fail "there is no $each on PATH: install it first"
done
docker info >/dev/null 2>&1 || fail "docker does not answer: see what \`docker info\` says"

cluster=primus-lens-e2e
# A cluster of this name may be one that somebody kept, and still looks at.
if kind get clusters 2>/dev/null | grep -x $cluster >/dev/null; then
    fail "the cluster $cluster is there already: kind delete cluster --name $cluster"
fi

export E2E_IMAGE=lens.local/primus-lens:e2e E2E_PYTHON_IMAGE=lens.local/pod:e2e
images=("$E2E_IMAGE")
# With attestations an image may be an index, which an older containerd cannot load.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
docker build --tag "$E2E_IMAGE" .
for target in wandb pythonpath no-shell; do
    suffix=${target/#wandb/}
    image=$E2E_PYTHON_IMAGE${suffix:+-$suffix}
    docker build --tag "$image" --target $target tests/cluster/image \
        --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm \
        --build-arg PRIMUS_LENS_IMAGE="$E2E_IMAGE"
    images+=("$image")
done

export KUBECONFIG=$PWD/.venv/kind.kubeconfig
finish() {
    if [ "${KEEP:-}" = 1 ]; then
        echo "kind-e2e: export KUBECONFIG=$KUBECONFIG"
        echo "kind-e2e: kind delete cluster --name $cluster"
    else
        kind delete cluster --name $cluster
    fi
}
trap finish EXIT
kind create cluster --name $cluster --wait 180s ${NODE_IMAGE:+--image "$NODE_IMAGE"}
kind load docker-image --name $cluster "${images[@]}"

KUBELET_ROOT=/var/lib/kubelet make e2e # where the node has it
