# SPDX-License-Identifier: Apache-2.0
"""What happens to the exporter and to either Prometheus."""

import contextlib
import socket

DOWN = 5.0  # seconds at most: less than PrimusLensExporterDown waits


def restarts(world, act):
    """the exporter gets SIGTERM and starts again"""
    with world.exporter.lock:
        world.exporter.stop()
        world.sleep(act.random.choice((0, 0, act.random.uniform(0, DOWN))))
        world.exporter.start()


def crashes(world, act):
    """kill -9 of the exporter"""
    with world.exporter.lock:
        world.exporter.crash()
        world.sleep(act.random.choice((0, act.random.uniform(0, DOWN))))
        world.exporter.start()


def scraper(world, act):
    """kill -9 of the Prometheus that scrapes"""
    world.scraper.crash(act.random.uniform(0, 6))


def receiver(world, act):
    """kill -9 of the Prometheus that takes remote write"""
    world.receiver.crash(act.random.uniform(0, 6))


def clients(world, act):
    """80 clients that keep their connections open, and ask nothing more"""
    request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with world.exporter.lock, contextlib.ExitStack() as stack:
        for _ in range(80):
            # Refused ones are the exporter's right, as long as it answers others.
            with contextlib.suppress(OSError):
                address = "127.0.0.1", world.exporter.port
                connection = stack.enter_context(socket.create_connection(address, timeout=2))
                connection.sendall(request)
        world.sleep(8)


ACTS = (restarts, crashes, scraper, receiver, clients)
