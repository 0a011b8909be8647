# SPDX-License-Identifier: Apache-2.0
"""A small real server with the limits, the TLS and the passwords that the daemons have."""

import asyncio
import base64
import contextlib
import functools
import http.client
import json
import socket
import ssl
import threading

import bcrypt
import trustme
from aiohttp import web
from primus_lens_toolkit import listen
from primus_lens_toolkit.rejections import Rejections
from primus_lens_toolkit.web_settings import Address, WebSettings
from prometheus_client import CollectorRegistry

BIG = 20 << 20
SLOW = 2.0  # seconds
SHUT = (ssl.SSLError, ConnectionError)  # what a client sees that TLS does not let in


class Site:
    """Serves `/`, `/big`, which has 20 MB, and `/slow`, from a thread of its own."""

    def __init__(self, config=None, **settings):
        self.settings = WebSettings(web_config_file=config, **settings)
        self.registry = CollectorRegistry()
        self.stop = asyncio.Event()
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        async def page(request):
            if request.path == "/slow":
                await asyncio.sleep(SLOW)
            return web.Response(body=b"x" * BIG if request.path == "/big" else b"ok")

        async def read(request):
            return web.Response(body=await request.read())

        app = web.Application()
        app.add_routes([web.get("/", page), web.get("/big", page), web.get("/slow", page)])
        app.add_routes([web.post("/read", read)])
        where, rejections = Address("127.0.0.1", 0), Rejections(self.registry, "test_")
        self.loop = asyncio.get_running_loop()
        try:
            server = await listen.listen(app, where, self.settings, rejections)
            self.port = server.addresses[0].port
        finally:
            self.started.set()
        await self.stop.wait()
        await server.cleanup()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def __enter__(self):
        self.thread.start()
        self.started.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()

    def client(self, tls=None):
        """A connection that is closed by `with`."""
        connect = functools.partial(http.client.HTTPSConnection, context=tls)
        made = (connect if tls else http.client.HTTPConnection)("localhost", self.port, timeout=20)
        return contextlib.closing(made)

    def ask(self, path="/", tls=None, method="GET", body=None, **headers):
        """The response, read to its end, from a connection of its own."""
        with self.client(tls) as client:
            return ask(client, path, method, body, headers)

    def status(self, *arguments, **headers):
        return self.ask(*arguments, **headers).status

    def login(self, user, password):
        return self.status(Authorization=basic(user, password))

    def raw(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def handshake(self, tls, session=None):
        """A TLS socket that has had a response: TLS 1.3 refuses clients after its handshake."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self.raw())
            client = tls.wrap_socket(client, server_hostname="localhost", session=session)
            stack.enter_context(client)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if not client.recv(1000):
                raise ConnectionError("closed without a response")
            stack.pop_all()
            return client

    def refused(self, reason):
        return self.registry.get_sample_value("test_http_rejected_total", {"reason": reason})

    def reload_failures(self):
        return self.registry.get_sample_value("test_web_config_reload_failures_total")


def ask(client, path="/", method="GET", body=None, headers=None):
    client.request(method, path, body, headers or {})
    response = client.getresponse()
    response.body = response.read()
    return response


class Authority:
    """A CA, what it issued for the server, and the web configuration that names it."""

    def __init__(self, directory):
        self.ca = trustme.CA()
        self.directory = directory
        self.ca.cert_pem.write_to_path(directory / "ca.crt")
        self.issue()

    def issue(self):
        """Gives the server a new certificate and key."""
        made = self.ca.issue_cert("localhost", "127.0.0.1")
        made.private_key_pem.write_to_path(self.directory / "server.key")
        (self.directory / "server.crt").write_bytes(made.cert_chain_pems[0].bytes())

    def config(self, users=None, headers=None, **tls):
        """Writes web.yml (JSON is YAML) and returns its path."""
        tls = {"cert_file": "server.crt", "key_file": "server.key"} | tls
        document = {"tls_server_config": tls, "basic_auth_users": users}
        document["http_server_config"] = {"headers": headers}
        path = self.directory / "web.yml"
        path.write_text(json.dumps(document))
        return path

    def mutual(self, **tls):
        return self.config(
            client_ca_file="ca.crt", **{"client_auth_type": "RequireAndVerifyClientCert"} | tls
        )

    def trusting(self):
        """TLS of a client that trusts this CA."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def known(self, tls, name="prometheus"):
        """The same client with a certificate from this CA."""
        self.ca.issue_cert(name).configure_cert(tls)
        return tls


def hashed(password, cost=4):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def users_yaml(users):
    return json.dumps({"basic_auth_users": users})
