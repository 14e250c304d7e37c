"""Costs of a model of 5,000 nodes: CPU time beside that of the layer table.

python benchmarks/speed/cost_large.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from inspect_large import build

LIMIT_S = 2.0


def main() -> None:
    from onnxprof.cost.count import costs, total
    from onnxprof.model.costs import symbolic_costs
    from onnxprof.model.file import open_model
    from onnxprof.model.layers import inspect
    from onnxprof.model.sizing import sizing

    with tempfile.TemporaryDirectory() as folder:
        model = open_model(str(build(Path(folder))))
    start = time.process_time()
    table = inspect(model, 8)
    listed = time.process_time()
    whole = total(costs(table))
    counted = time.process_time()
    found = symbolic_costs(model, sizing(model, {}))
    expressed = time.process_time()
    print(
        f"{whole.layers} nodes, {whole.operations.macs:,} MACs: table {listed - start:.2f} s, "
        f"cost {counted - listed:.2f} s ({(counted - listed) / LIMIT_S:.2f} of the limit), "
        f"as expressions {expressed - counted:.2f} s, CPU time; MACs {found.work().macs}"
    )


if __name__ == "__main__":
    main()
