# SPDX-License-Identifier: Apache-2.0
"""Other ways to the cluster of KUBECONFIG: as another user, as a pod, over a bad wire."""

import base64
import contextlib
import os
import selectors
import socket
import threading
import time

import yaml


def kubeconfig(directory, server=None, user=None):
    """The cluster's kubeconfig with another server or another user."""
    with open(os.environ["KUBECONFIG"]) as file:
        document = yaml.safe_load(file)
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    if user:
        document["users"][0]["user"] = user
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def in_the_cluster(monkeypatch, directory, token):
    """What a pod has in place of a kubeconfig: two files and two variables."""
    with open(os.environ["KUBECONFIG"]) as file:
        cluster = yaml.safe_load(file)["clusters"][0]["cluster"]
    (directory / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    (directory / "token").write_text(token)
    module = "kubernetes.config.incluster_config."
    monkeypatch.setattr(module + "SERVICE_TOKEN_FILENAME", str(directory / "token"))
    monkeypatch.setattr(module + "SERVICE_CERT_FILENAME", str(directory / "ca.crt"))
    host, port = cluster["server"].removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.delenv("KUBECONFIG")


class Wire:
    """A TCP forwarder to the API that can be cut and can fall silent."""

    def __init__(self, directory):
        with open(os.environ["KUBECONFIG"]) as file:
            server = yaml.safe_load(file)["clusters"][0]["cluster"]["server"]
        host, port = server.removeprefix("https://").split(":")
        self.to = host, int(port)
        self.frozen = threading.Event()
        self.port = 0
        self.up()
        self.kubeconfig = kubeconfig(directory, f"https://127.0.0.1:{self.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.cut = False
        self.thread = threading.Thread(target=self.pump)
        self.thread.start()

    def down(self):
        self.cut = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def pump(self):
        while not self.cut:
            for key, _ in self.selector.select(0.05):
                if self.frozen.is_set():
                    time.sleep(0.05)
                elif key.data is None:
                    self.join(self.listener.accept()[0], socket.create_connection(self.to))
                else:
                    self.carry(key.fileobj, key.data)

    def join(self, near, far):
        self.selector.register(near, selectors.EVENT_READ, far)
        self.selector.register(far, selectors.EVENT_READ, near)

    def carry(self, source, to):
        with contextlib.suppress(OSError):
            if data := source.recv(1 << 16):
                return to.sendall(data)
        for each in (source, to):
            self.selector.unregister(each)
            each.close()
        return None
