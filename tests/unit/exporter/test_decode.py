# SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.record import as_float
from primus_lens_exporter.reading import decode

GOOD = b'{"timestamp":1.5,"step":3,"data":{"a":1},"run":"r"}'


def results(chunk):
    return {result: count for result, count in decode.decode(chunk).results.items() if count}


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (GOOD, "ok"),
        (b'{"timestamp": 1, "data": {}, "more": [1, {"x": null}]}', "ok"),
        (b'{"timestamp":1,"data":{"a":1,"a":2}}', "ok"),
        (b'{"timestamp":1,"data":{"a":NaN,"b":-Infinity}}', "repaired"),
        (b"\0\0\0" + GOOD, "repaired"),
        (b'{"timestamp":1,"data":{"a":', "invalid_json"),
        (b"\x1f\x8b garbage", "invalid_json"),
        (b'{"timestamp":1,"data":{"a":"\xff"}}', "invalid_utf8"),
        (b'{"timestamp":1,"data":{"\xff":1}}', "invalid_utf8"),
        (b'{"timestamp":"now","data":{}}', "wrong_type"),
        *(
            (b'{"timestamp":%s,"data":{}}' % none.encode(), "wrong_type")
            for none in ("-1e300", "-0.001", "253402300800", "1e300", "9" * 400)
        ),
        (b'{"timestamp":NaN,"data":{}}', "invalid_json"),
        (b'{"timestamp":253402300799,"data":{}}', "ok"),
        (b'{"timestamp":1,"data":[]}', "wrong_type"),
        (b'{"timestamp":1,"step":"3","data":{}}', "wrong_type"),
        (GOOD[:-1] + b',"late":true}', "ok"),
        (GOOD[:-1] + b',"late":"yes"}', "wrong_type"),
        (GOOD[:-1] + b',"late":1}', "wrong_type"),
        (GOOD[:-1] + b',"late":null}', "wrong_type"),
        (GOOD[:-1] + b',"late":{"late":{}}}', "wrong_type"),
        (b"[1, 2]", "wrong_type"),
        (b'{"data":{}}', "wrong_type"),
        (b'{"timestamp":1,"data":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}", "too_deep"),
        (b'{"timestamp":1,"data":{"a":' + b"9" * 400 + b"}}", "ok"),
    ],
)
def test_each_line_has_its_result_and_its_neighbours_survive(line, result):
    chunk = GOOD + b"\n" + line + b"\n\n" + GOOD + b"\n"
    found = results(chunk)
    assert found.pop("ok") - (result == "ok") == 2
    assert found == ({} if result == "ok" else {result: 1})


def test_a_record_behind_a_torn_line_is_read():
    batch = decode.decode(GOOD[:20] + GOOD + b"\n")
    assert [record.step for record in batch.records] == [3]
    assert dict(batch.results) == {"torn": 1, "ok": 1}


def test_a_row_is_late_only_where_the_line_says_so():
    lines = [GOOD[:-1] + rest for rest in (b"}", b',"late":true}', b',"late":false}')]
    assert [record.late for record in decode.decode(b"\n".join(lines)).records] == [0, 1, 0]
    repaired = decode.decode(b'{"timestamp":1,"step":3,"data":{"a":NaN},"late":true}')
    assert [record.late for record in repaired.records] == [True]


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_never_raises_and_never_loses_a_good_line(before, after):
    noise = [b.replace(b"\n", b"") for b in (before, after)]
    batch = decode.decode(noise[0] + b"\n" + GOOD + b"\n" + noise[1] + b"\n")
    assert [record.run for record in batch.records].count("r") == 1


@given(st.lists(st.dictionaries(st.text(), st.floats() | st.integers(), max_size=4), max_size=5))
def test_what_json_writes_is_read_back(rows):
    lines = [json.dumps({"timestamp": 1, "data": row}) for row in rows]
    batch = decode.decode("\n".join(lines).encode())
    values = [[as_float(v) for v in record.data.values()] for record in batch.records]
    assert len(values) == len(rows)
    for got, row in zip(values, rows, strict=True):
        for mine, theirs in zip(got, row.values(), strict=True):
            assert mine == theirs or math.isnan(mine) or abs(theirs) > 2**53
