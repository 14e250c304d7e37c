"""What answers queries: a model on a backend, or nothing at all, which shows LoadGen's floor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from onnxprof.jobs.child import inputs_of, refuse_another_runtime, workload
from onnxprof.jobs.job import Job
from onnxprof.plugins import registry, verbs
from onnxprof.scenarios.serving import Session, size_for


@dataclass(frozen=True, slots=True)
class NullSystem:
    """Answers at once."""

    threads: int = 1
    caches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """A session that does nothing."""
        yield _nothing


def _nothing(_: int) -> None:
    """Nothing: the sample is done."""


@dataclass(frozen=True, slots=True)
class ModelSystem:
    """A model, loaded un-profiled at each of its batches; inputs stay bound to each."""

    jobs: tuple[Job, ...]
    """One a batch, the smallest first."""
    is_concurrent: bool
    """Several sessions infer at the same time."""

    @property
    def threads(self) -> int:
        """Threads of the processor that a session uses."""
        return self.jobs[0].threads

    @property
    def caches(self) -> tuple[str, ...]:
        """The folders that its backend keeps."""
        return verbs.caches(registry.backend(self.jobs[0].options.backend))

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders of another version of the runtime."""
        return self.jobs[0].paths

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """A session; it holds the model once for each batch. Raises OnnxprofError."""
        backend = registry.backend(self.jobs[0].options.backend)
        with ExitStack() as stack:
            infers = {}
            for job in self.jobs:
                model = job.model.unpacked()
                inputs, _ = inputs_of(job, model)
                refuse_another_runtime(job)
                work = workload(job, model, inputs, own_process=True)
                work = replace(work, concurrent=self.is_concurrent)
                infers[job.batch] = stack.enter_context(backend.open(work)).infer
            loaded = tuple(infers)
            yield lambda samples: infers[size_for(samples, loaded)]()
