# SPDX-License-Identifier: Apache-2.0
"""For `helm test`: a pod that asks for it comes back mutated.

It is asked for as a dry run, so nothing is created. Only Python's standard library is there.
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


def pod():
    container = {"name": "train", "image": "train", "command": ["python3", "train.py"]}
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


def created(server, namespace):
    """The pod, as the API server would have stored it."""
    with open(f"{ACCOUNT}/token") as file:
        token = file.read()
    request = urllib.request.Request(
        f"{server}/api/v1/namespaces/{namespace}/pods?dryRun=All",
        json.dumps(pod()).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
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


def main(namespace):
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    server = f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            wrong = complaint(created(server, namespace))
        except urllib.error.HTTPError as error:
            wrong = f"the API server refuses the pod: {error.read().decode(errors='replace')}"
        except OSError as error:
            wrong = f"the API server does not answer: {error}"
        if not wrong:
            return print(f"A labelled pod in {namespace} is injected.")
        if time.monotonic() > deadline:
            return sys.exit(wrong)
        time.sleep(2)


if __name__ == "__main__":
    main(sys.argv[1])
