# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_toolkit.content_coding import takes_gzip


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ((), False),
        (("",), False),
        (("gzip",), True),
        (("GZIP",), True),
        (("x-gzip",), True),
        (("deflate, gzip;q=1.0, *;q=0.5",), True),
        (("gzip;q=0",), False),
        (("gzip ; q=0.000",), False),
        (("gzip;Q=0.5",), True),
        (("gzip;q=0, *",), False),
        (("*",), True),
        (("*;q=0",), False),
        (("*;q=0, gzip;q=0.1",), True),
        (("identity",), False),
        (("identity, *;q=0",), False),
        (("identity;q=0.5, gzip;q=1",), True),
        (("identity;q=1, gzip;q=0.5",), False),
        (("br", "gzip"), True),  # two header fields are one list
        (("br", "deflate"), False),
        (("gzip;q=2",), False),
        (("gzip;q=nan",), False),
        (("gzip;level=9",), False),
        (("notgzip, gzipped",), False),
        ((",,gzip,",), True),
    ],
)
def test_who_takes_gzip(headers, taken):
    assert takes_gzip(headers) is taken
