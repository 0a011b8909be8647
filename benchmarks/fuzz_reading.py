# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of what reads hostile bytes: the tail of a real file, the decoder.

`python benchmarks/fuzz_reading.py [seconds]`, 60 unless told. It ends with the first input
that breaks a promise, and prints it; the inputs that were found worth keeping stay in a
temporary directory for as long as it runs.
"""

import os
import sys
import tempfile

try:
    import atheris
except ImportError:
    sys.exit("this needs atheris: pip install atheris")

with atheris.instrument_imports(include=["primus_lens_exporter"]):
    from primus_lens_exporter.model.series_rules import SeriesRules
    from primus_lens_exporter.pods.cache import PodCache
    from primus_lens_exporter.reading import decode, runs_file
    from primus_lens_exporter.reading.file_handle import FileHandle
    from primus_lens_exporter.reading.safe_open import SafeDirectory
    from primus_lens_exporter.reading.tail import Tail
    from primus_lens_exporter.reading.tenant import Tenants, node_quota
    from primus_lens_exporter.series.store import Store
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.reading.settings import ReadingSettings

LINE_BYTES = 256  # small, so that its edges are met
SEEDS = (
    b'{"timestamp":1.5,"step":1,"data":{"loss":1},"run":"r"}\n',
    b'{"timestamp":1.5,"step":null,"data":{"a":"NaN","b":[true,{"c":null}]}}\n',
    b'{"timestamp":1,"data":{"a":NaN,"b":-Infinity}}\n{"timestamp":1,"da{"timestamp":2,"data":{}}\n',
    b"\0\0\0\0" + b"x" * 300 + b'\n{"timestamp":1e999,"data":{"\\ud800":1}}\n',
    b'{"r":{"project":"p","world_size":4,"step_fix":{"logs":3},"finish":2.5}}',
)


class Holder:
    """A pod's rank, with its quota."""

    def __init__(self):
        options, counts = ReadingSettings(), Counts()
        tenants = Tenants(options, counts, PodCache(), OpenFiles(1000), [node_quota(options)])
        share = tenants.directory("x").shares[0]
        self.path, self.quota, self.history_quota = "x", share.quota, share.history_quota

    def logged(self, _run_id):
        return 1

    def dropped(self, _, values):
        assert values > 0

    def limited(self, limit):
        assert limit == "trails_per_pod"


def read_in_pieces(path, data):
    """Write and read in turns; the same lines come out as when all is read at once."""
    fuzz = atheris.FuzzedDataProvider(data)
    tail, written, got = None, b"", b""
    with open(path, "wb") as file:
        tail = Tail(FileHandle(os.open(path, os.O_RDONLY)), LINE_BYTES)
        try:
            while fuzz.remaining_bytes():
                piece = fuzz.ConsumeBytes(fuzz.ConsumeIntInRange(1, 400))
                file.write(piece)
                file.flush()
                written += piece
                offset = tail.offset
                while (chunk := tail.read()) is not None:
                    assert tail.offset > offset, "no progress"
                    assert chunk.endswith(b"\n") or not chunk
                    offset, got = tail.offset, got + chunk
            assert tail.offset <= len(written)
        finally:
            tail.file.detach()
    return got, written


def short_lines(data):
    """What must come out: each whole line within the limit."""
    return [line for line in data.split(b"\n")[:-1] if line and len(line) < LINE_BYTES]


def check(root, store, data):
    got, written = read_in_pieces(os.path.join(root.path, "file"), data)
    if b"\0" not in written:
        wanted = short_lines(written)
        assert [line for line in got.split(b"\n") if line] == wanted, (got, wanted)
    holder = Holder()
    store.caught_up(holder)
    for chunk in (got, data):
        batch = decode.decode(chunk)
        assert sum(batch.results.values()) >= len(batch.records)
        if batch.records:
            store.take((("rank", "0"),), batch.records, {"file": 1}, holder)
    with open(os.path.join(root.path, "runs"), "wb") as file:
        file.write(data)
    for run_id, info in runs_file.read(root, ["runs"]).items():
        store.describe((("rank", "0"),), run_id, info, holder)
    b"".join(store.parts()).decode()
    store.release(holder)
    assert not len(store)


def main():
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as directory:
        corpus = os.path.join(directory, "corpus")
        os.mkdir(corpus)
        for number, seed in enumerate(SEEDS):
            with open(os.path.join(corpus, str(number)), "wb") as file:
                file.write(seed)
        root = SafeDirectory(directory, hold=True)
        store = Store(SeriesRules())
        flags = [f"-max_total_time={seconds}", "-max_len=4096", f"-artifact_prefix={directory}/"]
        atheris.Setup([sys.argv[0], *flags, corpus], lambda data: check(root, store, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
