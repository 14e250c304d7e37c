"""A fleet from what `--fleet` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxprof.sweeps.fleet.near.addresses import RayAddress
from onnxprof.sweeps.fleet.near.admission import Asked, Opened, Say
from onnxprof.sweeps.fleet.near.stock import Stock


@contextmanager
def opened(asked: Asked, stock: Stock, say: Say) -> Iterator[Opened]:
    """The fleet, until the body ends; `say` hears which machines are left out, and why.

    Raises FleetError where no machine is left.
    """
    if isinstance(asked.fleet, RayAddress):
        from onnxprof.sweeps.fleet.cluster.opening import opened_cluster

        with opened_cluster(asked, asked.fleet, stock, say) as fleet:
            yield fleet
        return
    from onnxprof.sweeps.fleet.ssh.opening import opened_over_ssh

    with opened_over_ssh(asked, asked.fleet, stock, say) as fleet:
        yield fleet
