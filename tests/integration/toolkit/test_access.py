# SPDX-License-Identifier: Apache-2.0
import contextlib
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from primus_lens_toolkit.rejections import REASONS

from support import sites
from support.serving import until
from support.sites import basic, hashed, users_yaml


@pytest.fixture
def guarded(site, tmp_path):
    """A site that lets in Alice, whose password is "right"; checking it takes some ms."""
    (tmp_path / "web.yml").write_text(users_yaml({"alice": hashed("right", 8)}))
    return site(tmp_path / "web.yml")


def closed(connection):
    """Whether the server hangs up, without more than a short last word."""
    try:
        return len(connection.recv(1000)) < 1000 and connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_every_reason_starts_at_zero(site):
    there = site()
    assert [there.refused(reason) for reason in REASONS] == [0] * len(REASONS)
    assert there.reload_failures() == 0


def test_the_right_password_opens_all_and_a_wrong_one_nothing(guarded):
    for _ in range(2):  # the second time from what is remembered
        assert guarded.login("alice", "right") == 200
        assert guarded.login("alice", "wrong") == 401
    assert guarded.refused("unauthorized") == 2


@pytest.mark.parametrize("path", ["/", "/nothing", "/-/healthy"])
def test_no_path_is_open_and_clients_are_told_how_to_ask(guarded, path):
    response = guarded.ask(path)
    assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Basic")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !",
        "Basic YWxpY2U=",
        "Basic /w==",
        basic("mallory", "right"),
        basic("", ""),
        basic("alice", ""),
        basic("alice", "a\0b"),
        basic("alice", "x" * 5000),
        "Bearer " + basic("alice", "right")[6:],
        basic("alice", "right") * 2,
    ],
)
def test_no_other_header_opens(guarded, header):
    assert guarded.status(Authorization=header) == 401


def test_passwords_longer_than_bcrypt_reads_are_compared_as_far_as_it_does(site, tmp_path):
    (tmp_path / "web.yml").write_text(users_yaml({"alice": hashed("x" * 72)}))
    there = site(tmp_path / "web.yml")
    assert there.login("alice", "x" * 80) == 200
    assert there.login("alice", "x" * 71) == 401


def test_who_is_known_does_not_wait_for_who_guesses(site, tmp_path):
    slow = {"alice": hashed("right"), "bob": hashed("bob", 13)}
    (tmp_path / "web.yml").write_text(users_yaml(slow))
    there = site(tmp_path / "web.yml")
    there.login("alice", "right")
    with there.raw() as guessing:
        header = basic("bob", "guess").encode()
        guessing.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % header)
        assert there.login("alice", "right") == 200
        assert select.select([guessing], [], [], 0)[0] == []
        assert guessing.recv(1000).startswith(b"HTTP/1.1 401")


def test_the_queue_of_guesses_is_bounded(site, tmp_path):
    (tmp_path / "web.yml").write_text(users_yaml({"alice": hashed("right", 10)}))
    there = site(tmp_path / "web.yml")
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(there.login, ["alice"] * 24, map(str, range(24))))
    assert set(answers) == {401, 503}
    assert there.refused("login_queue") == answers.count(503)


@pytest.mark.exhaustive
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_does_not_say_what_it_wants_is_cut_off(site, sent):
    there = site(web_read_timeout_seconds=1)
    with there.raw() as client:
        client.sendall(sent)
        assert closed(client)
    assert there.refused("slow_client") == 1


def test_a_client_that_does_not_shake_hands_is_cut_off(site, authority):
    there = site(authority.config(), web_read_timeout_seconds=1)
    with there.raw() as client:
        assert closed(client)
    until(lambda: there.refused("tls_handshake") == 1)


def test_a_client_that_drips_is_cut_off(site):
    there = site(web_read_timeout_seconds=1)
    with there.raw() as client, contextlib.suppress(ConnectionError):
        client.sendall(b"GET / HTTP/1.1\r\n")
        while not there.refused("slow_client"):
            client.sendall(b"a: b\r\n")
            time.sleep(0.1)
    until(lambda: there.refused("slow_client") == 1)


def test_the_second_request_of_a_connection_has_to_be_whole_too(site):
    there = site(web_read_timeout_seconds=1)
    with there.client() as client:
        sites.ask(client)
        client.sock.sendall(b"GET")
        assert closed(client.sock)
    assert there.refused("slow_client") == 1


def test_a_connection_on_which_nothing_is_under_way_stays(site):
    there = site(web_read_timeout_seconds=1, web_write_timeout_seconds=1)
    with there.client() as client, there.raw() as witness:
        sites.ask(client)
        used = client.sock
        assert closed(witness)  # the read timeout is over
        assert (sites.ask(client).status, client.sock) == (200, used)
    assert there.refused("slow_client") == 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_client_that_does_not_take_the_response_is_cut_off(site, authority, encrypted):
    settings = {"web_write_timeout_seconds": 1, "web_max_connections": 1}
    there = site(authority.config() if encrypted else None, **settings)
    tls = authority.trusting() if encrypted else None
    with there.client(tls) as client:
        client.request("GET", "/big")
        until(lambda: there.refused("slow_client") == 1)
        assert there.status(tls=tls) == 200  # the one connection there may be is free


def test_a_client_that_asks_much_and_reads_nothing_frees_its_place(site):
    there = site(web_max_connections=1, web_write_timeout_seconds=1)
    with there.raw() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(2000):
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: answers(there))


def answers(there):
    with contextlib.suppress(ConnectionError):
        return there.status() == 200


GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
# What each of many clients sends, and what it waits for before the next one comes.
HOLDERS = {
    "nothing": b"",
    "half a request": b"GET / HTTP/1.1\r\nHost: ",
    "half a body": b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
    "keep-alive": GET % b"/",
}


def hold(stack, there, sent):
    """A client that sends this, takes a short answer where there is one, and stays."""
    client = stack.enter_context(there.raw())
    client.sendall(sent)
    if sent.startswith(b"GET") and sent.endswith(b"\r\n\r\n"):
        assert client.recv(1000)
    return client


@pytest.mark.parametrize("sent", HOLDERS.values(), ids=HOLDERS)
def test_who_has_kept_the_server_waiting_longest_gives_way(site, sent):
    there = site()
    with contextlib.ExitStack() as stack:
        first, second, *_ = [hold(stack, there, sent) for _ in range(64)]
        assert there.status() == 200
        assert closed(first)
        assert select.select([second], [], [], 0)[0] == []
        assert there.refused("displaced") == 1
        assert there.refused("too_many_connections") == 0


def test_many_connections_at_once_do_not_keep_the_next_one_waiting(site):
    there = site()
    there.loop.call_soon_threadsafe(time.sleep, 0.7)  # busy: nothing is accepted
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(socket.socket()) for _ in range(256)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", there.port))
        time.sleep(0.1)
        # Who finds the kernel's queue full tries again after 1, 3 and 7 seconds.
        poll = select.poll()  # select() takes no descriptors above 1023
        for client in waiting:
            poll.register(client, select.POLLOUT)
        assert len(poll.poll(0)) == 256
        until(lambda: there.refused("displaced") == 256 - there.settings.web_max_connections)


def test_an_idle_connection_gives_way_before_one_that_is_being_used(site):
    there = site(web_max_connections=2)
    with contextlib.ExitStack() as stack:
        begun, idle = hold(stack, there, HOLDERS["half a request"]), hold(stack, there, GET % b"/")
        assert there.status() == 200
        assert closed(idle)
        begun.sendall(b"x\r\n\r\n")
        assert begun.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_handshake_that_does_not_end_gives_way(site, authority):
    there = site(authority.config())
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(there.raw())
        until(lambda: tls_answers(there, authority))


def tls_answers(there, authority):
    with contextlib.suppress(*sites.SHUT):
        return there.status(tls=authority.trusting()) == 200


@pytest.mark.exhaustive
@pytest.mark.parametrize("encrypted", [False, True])
def test_clients_that_take_no_response_give_way(site, authority, encrypted):
    there = site(authority.config() if encrypted else None, web_max_connections=4)
    tls = authority.trusting() if encrypted else None
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(there.client(tls)).request("GET", "/big")
        until(lambda: tls_answers(there, authority) if encrypted else answers(there), 10)
        assert there.refused("slow_client") == 0


@pytest.mark.exhaustive
def test_a_client_that_takes_its_response_slowly_keeps_its_place(site):
    there = site(web_max_connections=1)
    with there.raw() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.sendall(GET % b"/big")
        for _ in range(60):
            assert client.recv(1 << 18)
            assert not answers(there)
            time.sleep(0.1)


def test_nobody_gives_way_while_all_are_being_served(site):
    there = site(web_max_connections=2)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(there.raw()) for _ in range(2)]
        for client in busy:
            client.sendall(GET % b"/slow")
        until(lambda: not answers(there))
        assert there.refused("too_many_connections") >= 1
        assert [client.recv(1000)[:12] for client in busy] == [b"HTTP/1.1 200"] * 2


def test_other_methods_than_get_and_head_are_refused(site):
    there = site()
    assert there.status(method="HEAD") == 200
    for count, method in enumerate(("POST", "PUT", "DELETE", "OPTIONS", "TRACE"), 1):
        assert there.status(method=method) == 405
        assert there.refused("method") == count


def test_a_body_that_nobody_wants_is_not_read_for_long(site):
    there = site()
    with there.raw() as client, contextlib.suppress(ConnectionError):
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 405")
        while True:  # until it hangs up
            client.sendall(b"x" * 65536)
    assert there.refused("slow_client") == 0  # before that came into question


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 10_000),
        b"GET / HTTP/1.1\r\nHost: x\r\na: %s\r\n\r\n" % (b"a" * 10_000),
        b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"a: b\r\n" * 1000),
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_request_that_is_none_or_too_big_is_refused_without_a_word_in_the_log(
    site, caplog, request_line
):
    there = site()
    with there.raw() as client:
        client.sendall(request_line)
        assert client.recv(1000).startswith(b"HTTP/1.0 400")
    assert there.refused("bad_request") == 1
    assert not caplog.records


@pytest.mark.exhaustive
def test_a_stuck_client_does_not_hold_up_the_end():
    with contextlib.ExitStack() as afterwards, sites.Site() as there:
        client = afterwards.enter_context(there.raw())
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1)
