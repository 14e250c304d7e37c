"""What was asked is the same in whatever order the sizes of axes were given."""

from __future__ import annotations

from dataclasses import replace

from onnxprof.testing import sample_run


def test_the_order_of_sizes_tells_no_two_requests_apart() -> None:
    asked = sample_run().request
    one, other = (
        replace(asked, dims=dims) for dims in ((("past", 4), ("new", 1)), (("new", 1), ("past", 4)))
    )
    assert one == other
    assert one.title == other.title == f"{asked.model_name} at batch {asked.batch}, new=1, past=4"
