"""What every measuring process needs, imported once by the server that it is forked from.

No runtime is among it: they start threads, which a fork does not copy.
"""

import gc

import numpy.ma  # noqa: F401  np.unique asks for it
import onnx  # noqa: F401
import psutil  # noqa: F401

import onnxprof.checks.batches.items
import onnxprof.checks.batches.proof
import onnxprof.checks.batches.trial
import onnxprof.checks.reference
import onnxprof.jobs.child
import onnxprof.jobs.proving
import onnxprof.jobs.sweep
import onnxprof.model.feeds
import onnxprof.model.file
import onnxprof.model.layers
import onnxprof.model.suggestion
import onnxprof.processes.apart
import onnxprof.processes.fence.landlock
import onnxprof.processes.fence.places
import onnxprof.processes.fence.seccomp  # noqa: F401

# What was made here lives as long as the process: collections need not look at it, and pages
# that they do not touch stay shared.
gc.collect()
gc.freeze()
