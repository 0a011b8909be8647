# SPDX-License-Identifier: Apache-2.0
"""The bodies that are in memory at once are bounded, and short ones never pay for long ones."""

import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from primus_lens_webhook.bodies import Bodies, Displaced, TooLong


def stream(*chunks, ended=True):
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())  # it reads from connections that are open alone
    made = StreamReader(protocol, 1 << 16, loop=loop)
    for chunk in chunks:
        made.feed_data(chunk)
    if ended:
        made.feed_eof()
    return made


async def taken(bodies, content):
    """How it ends for one request."""
    with bodies.one() as body:
        try:
            await bodies.read(body, content)
        except (Displaced, TooLong) as error:
            return type(error)
        return bytes(body.data)


async def with_others(bodies, lengths, content):
    """Others that do not go on, and one that does; and how it ends for those when they do."""
    streams = [stream(bytes(length), ended=False) for length in lengths]
    others = [asyncio.ensure_future(taken(bodies, each)) for each in streams]
    await asyncio.sleep(0)
    last = await taken(bodies, content)
    for each in streams:
        each.feed_data(b"x")
        each.feed_eof()
    return [result if isinstance(result, type) else None for result in await gathered(others)], last


async def gathered(tasks):
    return await asyncio.gather(*tasks)


def run(longest, most, lengths, *chunks):
    counted = []

    async def main():
        bodies = Bodies(longest, most, lambda: counted.append(1))
        return await with_others(bodies, lengths, stream(*chunks))

    return *asyncio.run(main()), len(counted)


@pytest.mark.parametrize("chunks", [(), (b"ab",), (b"a", b"b" * 9)])
def test_a_body_comes_as_it_was_sent(chunks):
    assert run(10, 10, [], *chunks) == ([], b"".join(chunks), 0)


def test_a_body_that_is_too_long_ends():
    assert run(10, 100, [], b"a" * 6, b"b" * 5)[1] is TooLong


def test_the_longest_unfinished_body_gives_way():
    assert run(100, 100, [30, 60, 5], b"a" * 10) == ([None, Displaced, None], b"a" * 10, 1)


def test_the_longest_may_be_the_newest():
    assert run(100, 100, [30, 40], b"a" * 50) == ([None, None], Displaced, 1)


def test_what_has_ended_counts_no_more():
    async def main():
        bodies = Bodies(10, 10, lambda: None)
        return [await taken(bodies, stream(b"a" * 8)) for _ in range(5)]

    assert asyncio.run(main()) == [b"a" * 8] * 5
