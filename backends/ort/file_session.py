"""Sessions for unchanged ONNX files: for checks that have no layer table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from onnxprof.backends.ort.runtime.session import NO_PACKING
from onnxprof.backends.ort.runtime.values import array_of, fed, ortvalue_of
from onnxprof.plugins.verbs import Arrays

_SILENT = 4
#: Threads that wait for work by spinning take a third of a check's CPU; no check is timed.
_NO_SPINNING = ("session.intra_op.allow_spinning", "0")


class OrtFileSession:
    """A file that is loaded with the runtime's usual optimisations, on the CPU."""

    def __init__(self, path: Path, *, lean: bool = False) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = _SILENT
        options.add_session_config_entry(*_NO_SPINNING)
        if lean:  # halves the memory: no packed copy of weights
            options.add_session_config_entry(NO_PACKING, "1")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._value_of = ort.OrtValue.ortvalue_from_numpy
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]

    def run(self, feeds: Arrays) -> list[Any]:
        """The values of all outputs, in order. Raises what the runtime raises."""
        values: list[Any] = self._session.run(None, fed(feeds))
        return values

    def tensors(self, feeds: Arrays, wanted: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Outputs by name, copied one by one; outputs that are no tensors are left out."""
        given = {name: ortvalue_of(x) or self._value_of(x) for name, x in feeds.items()}
        values = self._session.run_with_ort_values(list(wanted), given)
        for name in wanted:
            value = values.pop(0)
            array = array_of(value)
            if array is not None:
                yield name, array
