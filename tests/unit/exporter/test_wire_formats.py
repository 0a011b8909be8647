# SPDX-License-Identifier: Apache-2.0
"""Whatever the samples are, each protocol's requests hold them, whole, in halves and downgraded."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.metadata import COUNTERS, FAMILIES
from primus_lens_exporter.model.sample import NEVER, Series
from primus_lens_exporter.otlp.protocol import Otlp
from primus_lens_exporter.remote_write.protocol import RemoteWrite
from primus_lens_exporter.sending.counter_starts import CounterStart, CounterStarts
from primus_lens_exporter.sending.wire_format import Answer, Fate

from support.http_receiver import decoded

FORMS = {
    "1.0": lambda: RemoteWrite("1.0"),
    "2.0": lambda: RemoteWrite("2.0"),
    "otlp": lambda: Otlp({}),
}


def in_order(points):
    return sorted(points, key=lambda point: point[0])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
NAMES = st.sampled_from(sorted(FAMILIES))
TIMES, VALUES = st.integers(0, 1 << 44), st.floats(allow_nan=True)
POINTS = st.tuples(TIMES, VALUES)
# {(name, value of a label): [(milliseconds, value), …]}, the times of each rising.
DRAWN = st.dictionaries(
    st.tuples(NAMES, TEXTS),
    st.lists(POINTS, min_size=1, max_size=5, unique_by=lambda point: point[0]).map(in_order),
    min_size=1,
    max_size=30,
)


def samples_of(form, drawn):
    return [
        (series, at, value)
        for (name, text), points in drawn.items()
        for series in [Series(form.identify(name, (("key", text), ("a", "b"))), NEVER)]
        for at, value in points
    ]


def held(*requests):
    """What is in them, as bits: NaN is not equal to itself."""
    found = {}
    for request in requests:
        for labels, (at, value) in decoded(request.body, request.headers):
            known = dict(labels)
            assert sorted(known) == ["__name__", "a", "key"]
            values = found.setdefault((known["__name__"], known["key"]), [])
            values.append((at, struct.pack("<d", value)))
    return found


def wanted(drawn):
    return {
        series: [(at, struct.pack("<d", v)) for at, v in points] for series, points in drawn.items()
    }


@pytest.mark.parametrize("protocol", FORMS)
@given(drawn=DRAWN)
def test_a_request_holds_the_samples_and_so_do_its_halves(protocol, drawn):
    form = FORMS[protocol]()
    samples = samples_of(form, drawn)
    body = form.encode(samples, CounterStarts({}))
    assert held(form.request(body)) == wanted(drawn)
    halves = form.halves(body)
    if len(samples) == 1:
        assert halves is None
    else:
        assert sum(count for _, count in halves.parts) == len(samples)
        assert all(count for _, count in halves.parts)
        assert held(*(form.request(part) for part, _ in halves.parts)) == wanted(drawn)


@given(drawn=DRAWN)
def test_a_request_of_2_0_holds_the_same_after_the_fall_back(drawn):
    form = RemoteWrite("2.0")
    body = form.encode(samples_of(form, drawn), CounterStarts({}))
    before = form.request(body)
    assert form.judge(before, Answer(415, {}), 1).fate is Fate.RENEGOTIATE
    after = form.request(body)
    assert before.headers != after.headers
    assert held(after) == wanted(drawn)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_a_counter_starts_again_only_where_it_falls(values):
    starts, counter = CounterStarts({}), Series(b"c", NEVER)
    found = [starts.start(counter, at, value) for at, value in enumerate(values)]
    falls = [0, *(at for at in range(1, len(values)) if values[at] < values[at - 1])]
    assert found == [max(fall for fall in falls if fall <= at) for at in range(len(values))]
    assert starts.take_changes() == {b"c": CounterStart(found[-1], values[-1])}
    assert starts.take_changes() == {}


def test_counters_are_those_that_are_named_so():
    assert {name for name in FAMILIES if name.endswith("_total")} == COUNTERS
