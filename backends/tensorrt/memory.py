"""Memory and a stream of one CUDA device, through NVIDIA's cuda-python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from onnxprof.errors import BackendError
from onnxprof.plugins.memory import SMALLER


class DeviceMemory:
    """Allocation, copies and a stream on one device; `close` frees everything."""

    def __init__(self, index: int) -> None:
        from cuda.bindings import runtime

        self._cuda = runtime
        self._pointers: list[int] = []
        self._call("cudaSetDevice", index)
        self._stream = self._call("cudaStreamCreate")
        self.stream = int(self._stream)

    def allocate(self, size: int) -> int:
        """The address of `size` bytes. Raises BackendError if there are too few."""
        self._pointers.append(int(self._call("cudaMalloc", size)))
        return self._pointers[-1]

    def to_device(self, pointer: int, array: NDArray[Any]) -> None:
        """Copy to the device and wait."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpy", pointer, array.ctypes.data, array.nbytes, kind)

    def to_host(self, array: NDArray[Any], pointer: int) -> None:
        """Copy to the host and wait."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpy", array.ctypes.data, pointer, array.nbytes, kind)

    def wait(self) -> None:
        """Return when the stream has finished."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Free everything; errors of a lost device are ignored."""
        with suppress(BackendError):
            for pointer in self._pointers:
                self._call("cudaFree", pointer)
            self._call("cudaStreamDestroy", self._stream)
        self._pointers.clear()

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._cuda, name)(*arguments)
        if error != self._cuda.cudaError_t.cudaSuccess:
            _, text = self._cuda.cudaGetErrorString(error)
            message = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            remedy = f"Use {SMALLER}" if "memory" in message else ""
            raise BackendError(f"{name}: {message}", where="tensorrt", remedy=remedy)
        return results[0] if results else None
