"""Memory and a stream of one CUDA device, through NVIDIA's cuda-python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from onnxprof.errors import BackendError


class DeviceMemory:
    """What a session needs of CUDA; everything is freed by `close`."""

    def __init__(self, index: int) -> None:
        from cuda.bindings import runtime

        self._cuda = runtime
        self._pointers: list[int] = []
        self._call("cudaSetDevice", index)
        self._stream = self._call("cudaStreamCreate")
        self.stream = int(self._stream)

    def allocate(self, size: int) -> int:
        """So many bytes. Raises BackendError where there are none left."""
        self._pointers.append(int(self._call("cudaMalloc", size)))
        return self._pointers[-1]

    def to_device(self, pointer: int, array: NDArray[Any]) -> None:
        """Copy there and wait."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpy", pointer, array.ctypes.data, array.nbytes, kind)

    def to_host(self, array: NDArray[Any], pointer: int) -> None:
        """Copy back and wait."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpy", array.ctypes.data, pointer, array.nbytes, kind)

    def wait(self) -> None:
        """Return when the stream is done."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Free everything; a device that is gone is not complained about."""
        with suppress(BackendError):
            for pointer in self._pointers:
                self._call("cudaFree", pointer)
            self._call("cudaStreamDestroy", self._stream)
        self._pointers.clear()

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._cuda, name)(*arguments)
        if error != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(error)
            told = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            remedy = "Use a smaller --batch" if "memory" in told else ""
            raise BackendError(f"{name}: {told}", where="tensorrt", remedy=remedy)
        return results[0] if results else None
