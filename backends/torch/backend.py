"""torch: runs the ONNX graph operator by operator, on the CPU or a CUDA device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins.backend import Session, TracedSession, Workload
from onnxprof.plugins.verbs import SelfTest
from onnxprof.records.device import Availability, Device
from onnxprof.records.step import Granularity, Setup

#: Values of `Workload.provider`; a kind of device means the first.
PROVIDERS = ("eager", "compile")
_KINDS = ("", "cpu", "cuda")
#: Variables that name folders of compiled code, torch's own and Triton's.
_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "PYTORCH_KERNEL_CACHE_PATH")
_REMEDY = 'pip install "onnxprof[torch]"'


class TorchBackend:
    """Times ONNX models on torch."""

    name = "torch"

    def availability(self) -> Sequence[Availability]:
        """The CPU and the CUDA devices, or why they are missing."""
        try:
            import torch  # noqa: F401

            from onnxprof.backends.torch.devices import availability

            return availability(self.name)
        except Exception as error:  # a broken wheel or driver can fail in any way
            detail = f"torch cannot be imported: {(str(error).splitlines() or ['?'])[0]}"
            return (Availability(self.name, "cpu", False, detail, _REMEDY),)

    def devices(self) -> Sequence[Device]:
        """The devices that work here."""
        if not self.availability()[0].usable:
            return ()
        from onnxprof.backends.torch.devices import devices

        return devices()

    def configured(self, setup: Setup, provider: str) -> Setup:
        """Channels last, precision of products, oneDNN, and the mode of `torch.compile`."""
        from onnxprof.backends.torch.settings import configured

        return configured(setup, provider)

    def graph_suffix(self, provider: str) -> str:
        """None: raises UsageError."""
        why, more = "it runs the model as it is", ""
        if provider == "compile":
            why, more = "compiled code is none", "; TORCH_LOGS=output_code prints the code"
        raise UsageError(
            f"torch has no optimised graph to write: {why}",
            remedy=f"Leave out --save-optimized{more}",
        )

    def save_graph(self, workload: Workload, path: Path) -> None:
        """Raises UsageError, as `graph_suffix` does."""
        del path
        self.graph_suffix(workload.provider)

    def packages(self) -> Sequence[str]:
        """The distribution `torch`."""
        return ("torch",)

    def providers(self) -> Sequence[str]:
        """`eager` and `compile`."""
        return PROVIDERS

    def caches(self) -> Sequence[Path]:
        """What torch compiles is kept where a user has it kept; else in the temporary folder."""
        named = (os.environ.get(name, "") for name in _CACHES)
        return [Path(folder) for folder in named if folder]

    def self_test(self) -> SelfTest:
        """The node tests of the installed onnx package; half a minute."""
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise _missing(error) from None
        from onnxprof.backends.torch.conformance import torch_conformance

        return torch_conformance()

    def begin(self) -> None:
        """Import torch."""
        import torch  # noqa: F401

    def lasts(self, provider: str) -> bool:
        """On the CPU, operator by operator: what is compiled or tuned outlasts a session."""
        return provider == "cpu"

    @contextmanager
    def open(self, workload: Workload) -> Iterator[Session]:
        """An un-profiled session, compiled if the provider asks for it."""
        with _ready(workload) as device:
            yield _compiled(workload, device) if _compiles(workload) else _eager(workload, device)

    @contextmanager
    def open_traced(self, workload: Workload) -> Iterator[TracedSession]:
        """A session with a time for each layer; a compiled model is one step."""
        from onnxprof.backends.torch.session import TracedTorchSession

        with _ready(workload) as device:
            if _compiles(workload):
                yield _compiled(workload, device)
            else:
                yield TracedTorchSession(workload, device)


def _compiles(workload: Workload) -> bool:
    return workload.provider == "compile"


def _eager(workload: Workload, device: Any) -> Session:
    from onnxprof.backends.torch.session import TorchSession, prepare

    return TorchSession(prepare(workload, device), device)


def _compiled(workload: Workload, device: Any) -> TracedSession:
    from onnxprof.backends.torch.compiled import CompiledSession

    return CompiledSession(workload, device)


@contextmanager
def _ready(workload: Workload) -> Iterator[Any]:
    """The device to run on, with gradients off and the requested number of threads."""
    _check(workload)
    try:
        import torch
    except ImportError as error:
        raise _missing(error) from None
    from onnxprof.backends.torch.devices import torch_device
    from onnxprof.backends.torch.settings import applied

    if workload.own_process:  # the number of threads is set for the whole process
        torch.set_num_threads(workload.threads)
    device = torch_device(workload.provider, workload.device)
    with torch.inference_mode(), applied(workload.setup):
        if device.type == "cuda":
            with torch.cuda.device(device):
                yield device
        else:
            yield device


def _missing(error: ImportError) -> BackendError:
    return BackendError(f"torch cannot be imported: {error}", where="torch", remedy=_REMEDY)


def _check(workload: Workload) -> None:
    if workload.provider not in (*_KINDS, *PROVIDERS):
        raise UsageError(
            f"the torch backend has no provider {workload.provider!r}",
            remedy=f"It has: {', '.join(PROVIDERS)}",
        )
    if _compiles(workload) and workload.granularity is Granularity.WRITTEN:
        raise UsageError(
            "a compiled model does not run layer by layer",
            remedy="Leave out --granularity written, or use --provider eager",
        )
