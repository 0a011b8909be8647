# SPDX-License-Identifier: Apache-2.0
"""Admission: a 20 kB pod over TLS, 200 a second, beside an aiohttp server that answers a constant.

Requests start when they are due, whether or not earlier ones are answered, as they do at a mass
restart. Both servers run in a process of their own, with the same certificate, in turns; the
better of two rounds counts, since a busy neighbour makes either slow.
"""

import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import trustme
from aiohttp import web

RATE = 200
SECONDS = 10
POD_BYTES = 20_000
PORTS = {"ours": 19443, "constant": 19444}
GOAL_MS = 5.0


def review():
    """As a large training pod is: many variables, mounts and annotations."""
    env = [{"name": f"NCCL_SETTING_{n}", "value": f"value-{n}" * 4} for n in range(200)]
    mounts = [{"name": f"data-{n}", "mountPath": f"/data/{n}"} for n in range(20)]
    container = {
        "name": "pytorch",
        "image": "registry.example/train:1",
        "command": ["bash", "-c", "torchrun train.py"],
        "env": env,
        "volumeMounts": mounts,
        "resources": {"limits": {"cpu": "64", "memory": "1Ti", "nvidia.com/gpu": "8"}},
    }
    volumes = [{"name": f"data-{n}", "emptyDir": {}} for n in range(20)]
    metadata = {"name": "train-0", "labels": {"primus-lens.io/wandb": "enabled"}}
    pod = {"metadata": metadata, "spec": {"containers": [container], "volumes": volumes}}
    metadata["annotations"] = {"filler": "x" * max(0, POD_BYTES - len(json.dumps(pod)))}
    request = {"uid": "u", "kind": {"kind": "Pod"}, "operation": "CREATE", "object": pod}
    return json.dumps({"kind": "AdmissionReview", "request": request}).encode()


def constant(directory, port):
    """The peer: it takes the body and says the same thing to everyone."""

    async def answer(request):
        await request.read()
        return web.Response(body=b"{}" + b" " * 4_000, content_type="application/json")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
    app = web.Application(client_max_size=8 << 20)
    app.add_routes([web.post("/mutate", answer)])
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=tls, access_log=None, print=None)


def start(name, directory):
    port = PORTS[name]
    command = [sys.executable, __file__, directory, str(port)]
    if name == "ours":
        command = [sys.executable, "-m", "primus_lens_cli", "webhook"]
        command += ["--certificate.directory", directory, "--log.level", "warning"]
        command += ["--webhook.listen-address", f"127.0.0.1:{port}"]
        command += ["--web.listen-address", "127.0.0.1:0"]
    return subprocess.Popen(command)


async def once(session, url, body):
    began = time.perf_counter()
    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as got:
        await got.read()
        assert got.status == 200
    return time.perf_counter() - began


async def load(port, tls, seconds):
    """Latencies in seconds."""
    url, body = f"https://localhost:{port}/mutate", review()
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(100):
            try:
                await once(session, url, body)
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
        began, tasks = loop.time(), []
        for number in range(RATE * seconds):
            await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
            tasks.append(asyncio.create_task(once(session, url, body)))
        return await asyncio.gather(*tasks)


def measure(name, directory, tls):
    """p50 and p99 in milliseconds."""
    server = start(name, directory)
    try:
        asyncio.run(load(PORTS[name], tls, 1))  # warm
        latencies = asyncio.run(load(PORTS[name], tls, SECONDS))
    finally:
        server.terminate()
        server.wait()
    quantiles = statistics.quantiles(latencies, n=100)
    print(f"{name:10} p50 {quantiles[49] * 1e3:6.2f} ms   p99 {quantiles[98] * 1e3:6.2f} ms")
    return quantiles[98] * 1e3


def main():
    print(f"a pod of {len(review()):,} bytes over TLS, {RATE}/s for {SECONDS} s")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    tls = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "tls.key").write_bytes(leaf.private_key_pem.bytes())
        Path(directory, "tls.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
        rounds = [{name: measure(name, directory, tls) for name in PORTS} for _ in range(2)]
    ours, peer = (min(each[name] for each in rounds) for name in ("ours", "constant"))
    verdict = "met" if ours <= GOAL_MS else "MISSED"
    print(f"ours / constant at p99: {ours / peer:.2f}; goal p99 <= {GOAL_MS} ms: {verdict}")


if __name__ == "__main__":
    constant(sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 1 else main()
