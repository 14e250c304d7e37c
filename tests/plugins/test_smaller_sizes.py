"""What a run could have less of where memory runs out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnxprof.backends.cuda.driver import explained
from onnxprof.errors import BackendError
from onnxprof.plugins.memory import SMALLER, is_exhausted, sized, smaller
from onnxprof.records.run import Request
from onnxprof.testing import sample_run


def asked(batch: int, phase: str = "", **dims: int) -> Request:
    return replace(sample_run().request, batch=batch, phase=phase, dims=tuple(dims.items()))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(8), "smaller sizes than --batch 8"),
        (asked(1, past=2_000_000), "smaller sizes than --dim past=2000000"),
        (asked(2, past=0, new=1, total=7), "smaller sizes than --batch 2 --dim total=7"),
        (asked(1, "decode:131072"), "smaller sizes than --phase decode:131072"),
        (asked(1), "a machine or device with more memory"),
        (asked(1, new=1, past=0), "a machine or device with more memory"),
        (
            asked(1, a=2, b=5, c=3, d=4),
            "smaller sizes than --dim b=5 --dim d=4 --dim c=3",
        ),
        (
            replace(asked(1), dims=(("my past", 9),)),
            "smaller sizes than --dim 'my past=9'",
        ),
    ],
)
def test_sizes_that_could_be_smaller_are_named(request_: Request, words: str) -> None:
    assert smaller(request_) == words


def test_what_a_backend_leaves_open_is_filled_in_and_nothing_else() -> None:
    known = explained(2)
    error = BackendError(known.detail, where="Conv a", remedy=known.remedy)
    told = sized(error, smaller(asked(1, past=64)))
    assert told is error
    assert told.remedy.startswith("Use smaller sizes than --dim past=64; nvidia-smi lists")
    assert (told.what, told.where) == (known.detail, "Conv a")
    other = BackendError("broken", remedy="Mend it")
    assert sized(other, "less").remedy == "Mend it"
    assert SMALLER not in str(told)


def test_runtimes_say_in_many_words_that_memory_ran_out() -> None:
    for text in (
        "std::bad_alloc",
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
        "not enough memory: you tried to allocate 281474976710656 bytes",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "Failed to allocate memory for requested buffer of size 939524096",
    ):
        assert is_exhausted(RuntimeError(text)), text
    assert is_exhausted(MemoryError())
    assert not is_exhausted(RuntimeError("shapes do not go together"))
