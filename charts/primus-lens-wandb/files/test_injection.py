# SPDX-License-Identifier: Apache-2.0
"""For `helm test`: a pod that asks for it comes back mutated.

It is asked for as a dry run, so nothing is created. At the end, however it ends, the right to ask
is given back. Only Python's standard library is there.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SECONDS = 60


def pod(resources):
    container = {"name": "train", "image": "train", "command": ["python3", "train.py"]}
    container["resources"] = resources  # a ResourceQuota of the namespace may want them
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "primus-lens-test-",
            "labels": {"primus-lens.io/wandb": "enabled"},
        },
        "spec": {"securityContext": security, "containers": [container]},
    }


def answer(method, path, document=None):
    """What the API server answers to a request in the name of this pod."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    with open(f"{ACCOUNT}/token") as file:
        token = file.read()
    request = urllib.request.Request(
        f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}",
        json.dumps(document).encode() if document else None,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        return json.load(response)


def complaint(pod):
    """What is missing from an injected pod; empty if nothing is."""
    status = pod["metadata"].get("annotations", {}).get("primus-lens.io/status")
    if status is None:
        return "the webhook was not asked, or did not answer"
    if json.loads(status)["decision"] != "injected":
        return f"the webhook did not inject it: {status}"
    names = {each["name"] for each in pod["spec"].get("initContainers", ())}
    return "" if "primus-lens-hook" in names else "the pod has no init container primus-lens-hook"


def failure(namespace, resources):
    """Why no pod came back injected in a minute; empty if one did."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
            wrong = complaint(answer("POST", path, pod(resources)))
        except urllib.error.HTTPError as error:
            wrong = f"the API server refuses the pod: {error.read().decode(errors='replace')}"
        except OSError as error:
            wrong = f"the API server does not answer: {error}"
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(2)


def give_back(namespace, binding):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{binding}"
    try:
        answer("DELETE", path)
    except OSError as error:
        print(f"Cannot delete the RoleBinding {binding} in {namespace}: {error}")


def main(namespace, resources, binding):
    try:
        wrong = failure(namespace, json.loads(resources))
    finally:
        give_back(namespace, binding)
    if wrong:
        sys.exit(wrong)
    print(f"A labelled pod in {namespace} is injected.")


if __name__ == "__main__":
    main(*sys.argv[1:])
