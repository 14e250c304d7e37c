"""Which stored ceilings may bound the runs of a model's page."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.publish.site.worklist import Volume
from onnxprof.records.ceilings import Ceilings


def of_volume(volume: Volume, every: Sequence[Ceilings]) -> tuple[Ceilings, ...]:
    """Those of the devices and numbers of threads of a model's runs, in the order given.

    Other backends' count, too: a level of memory is the machine's.
    """
    asked = {(item.request.device_id, item.request.threads) for item in volume.items}
    return tuple(one for one in every if (one.key.device_id, one.key.threads) in asked)
