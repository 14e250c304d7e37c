"""A sweep as a script of events, with the seconds at which they happen."""

from __future__ import annotations

from dataclasses import replace

from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Ended,
    Event,
    Failed,
    Finished,
    JobName,
    Noted,
    Planned,
    Skipped,
    Started,
)
from onnxprof.sweeps.status.tally import Tally

CPU, GPU = "cpu:intel-xeon-platinum-8481c", "cuda:0:nvidia-h200"


def job(
    model: str,
    batch: int = 1,
    backend: str = "ort",
    device: str = CPU,
    node: str = "",
    dims: tuple[tuple[str, int], ...] = (),
) -> JobName:
    provider = device.partition(":")[0]
    key = f"{model}-{backend}-{device}-b{batch}-{dims}"
    return JobName(key, model, backend, provider, device, batch, 1, dims, node)


RESNET = job("resnet50", 8)
BERT = job("bert-base", 1, "torch", GPU, "farm-2", (("sequence", 128),))
VGG = job("vgg16", 32, "torch")
LONG = job("a-model-with-a-name-that-is-longer-than-any-line-of-a-terminal-would-like", 16)

#: Seconds since the sweep began, and what happened.
SCRIPT: tuple[tuple[float, Event], ...] = (
    (0.0, Planned(120, 30, 90, 5400.0)),
    (1.0, Started(job("lenet"))),
    (1.5, Advanced(job("lenet"), "warming up", 0.1)),
    (7.0, Finished(job("lenet"), "lenet/x.parquet", 45_910.0, 6.2)),
    (7.0, Skipped(job("gpt2-xl", 32), "needs 21.4 GiB and 16.0 GiB are free", "memory")),
    (7.5, Started(VGG)),
    (
        30.0,
        Failed(
            VGG,
            "the measuring process was ended by signal 9\nafter it had used 15.9 GiB of memory",
            "vgg16/y-failed.parquet",
            22.5,
        ),
    ),
    (31.0, AlreadyStored(job("squeezenet"))),
    (32.0, Noted("farm-3 is gone: its connection was closed")),
    (33.0, Started(LONG)),
    (34.0, Failed(LONG, "operator \x1b[31mFoo\x1b[0m is not known to this runtime", "", 0.5)),
    (35.0, Started(BERT)),
    (36.0, Advanced(BERT, "loading", 0.05)),
    (40.0, Finished(job("lenet", 2), "lenet/z.parquet", 81_000.0, 6.4, ("few_samples",))),
    (41.0, Finished(job("lenet", 4), "lenet/w.parquet", None, 6.4, ("wrong_outputs",))),
    (42.0, Started(RESNET)),
    (60.0, Advanced(RESNET, "sampling (process 2 of 3)", 0.43)),
)
END: tuple[float, Event] = (95.0, Ended(3, 2, 1, 83))


def tally(events: tuple[tuple[float, Event], ...] = SCRIPT) -> Tally:
    state = Tally()
    for seconds, event in events:
        state = state.after(event, seconds)
    return state


def on_node(name: JobName, node: str) -> JobName:
    return replace(name, node=node)
