"""Which of the batches that were asked for each job of a model stands for."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.jobs.job import Job


def matched(asked: Sequence[int], jobs: Sequence[Job]) -> tuple[list[tuple[int, Job]], list[int]]:
    """Each job with the batch that it answers, in the order of the batches, and those without one.

    A job at a batch that nobody asked for, the model's own, answers the first that is free.
    """
    left = list(asked)
    pairs: list[tuple[int, Job]] = []
    for job in sorted(jobs, key=lambda job: job.batch not in asked):
        batch = job.batch if job.batch in left else left[0]
        left.remove(batch)
        pairs.append((batch, job))
    return sorted(pairs, key=lambda pair: asked.index(pair[0])), left
