"""The decoders that these benchmarks measure: tiny ones of the tests, and any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

TINY = "tiny"


@contextmanager
def models(references: Sequence[str]) -> Iterator[list[str]]:
    """References as they are; `tiny` is two decoders that are made for as long as this lasts."""
    from support.decoders.grouped import grouped_decoder
    from support.decoders.plain import Sizes, plain_decoder

    sizes = Sizes(layers=2, hidden=256, heads=8, vocabulary=2048, positions=4096)
    made = {"tiny": plain_decoder(sizes), "tiny-int4": grouped_decoder(sizes, 4)}
    with TemporaryDirectory(prefix="onnxprof-") as folder:
        found = []
        for reference in references:
            if reference != TINY:
                found.append(reference)
                continue
            for name, model in made.items():
                path = Path(folder) / f"{name}.onnx"
                path.write_bytes(model.SerializeToString())
                found.append(str(path))
        yield found
