# SPDX-License-Identifier: Apache-2.0
import math

from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.live.downsampling import Downsampler

VALUES = st.lists(
    st.floats(allow_nan=True, allow_infinity=True, width=16), min_size=1, max_size=400
)


def thinned(values, most):
    downsampler = Downsampler(most)
    for slot, value in enumerate(values):
        downsampler.add(float(slot), None, value)
    return downsampler.points()


@given(VALUES, st.integers(2, 50))
def test_what_stands_out_stays_and_the_newest_too(values, most):
    points = thinned(values, most)
    kept = [point.value for point in points]
    finite = [value for value in values if math.isfinite(value)]
    assert [point.place for point in points] == sorted({point.place for point in points})
    assert all(str(point.value) == str(values[point.place]) for point in points)
    assert points[-1].place == len(values) - 1
    if finite:
        assert {min(finite), max(finite)} <= set(kept)
    assert any(map(math.isfinite, kept)) or not finite
    assert all(map(math.isfinite, kept)) == (len(finite) == len(values))


@given(VALUES, st.integers(2, 50))
def test_there_are_no_more_points_than_three_a_stretch(values, most):
    assert len(thinned(values, most)) <= 3 * (most // 2) + 4


def test_few_points_are_all_there():
    assert [point.place for point in thinned(range(600), 600)] == list(range(600))
