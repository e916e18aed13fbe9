"""Measure every network with an encoder, and write the table that predicts what one costs.

python -m benchmarks.networks [--check]

Nothing is computed: the networks run on torch's meta device, which knows shapes only. `--check`
writes nothing, and ends with 1 if the table differs. To be run after a change of
`engine.models.encoders`, or when `segmentation-models-pytorch` is renewed.
"""

import argparse
import json
import sys
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode

from engine.config import ENCODERS
from engine.models.encoder_costs import (
    DEPTHS,
    TABLE,
    TABLE_CHANNELS,
    TABLE_OUTPUTS,
    TABLE_SIZE_PX,
)
from engine.models.encoders import ARCHITECTURES, smp_network


def forward_flops(network: nn.Module, images: Tensor) -> int:
    """Floating-point operations of one pass, as torch counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops()


def kept_for_backward(network: nn.Module, images: Tensor) -> tuple[int, int]:
    """Values that a pass keeps for the way back, and bytes of indices; weights apart."""
    weights = {each.untyped_storage()._cdata for each in network.state_dict().values()}
    values: dict[int, int] = {}
    index_bytes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and tensor.is_floating_point():
            values[storage._cdata] = storage.nbytes() // tensor.element_size()
        elif storage._cdata not in weights:
            index_bytes[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = network(images)
    del result  # until here it held what was kept, and no storage's address was used again
    return sum(values.values()), sum(index_bytes.values())


class LiveValues(TorchDispatchMode):
    """Counts the values of all tensors made within it that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._live = 0
        self._holders: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {id(each) for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)}
        result = func(*args, **(kwargs or {}))
        for each in tree_iter(result):
            if isinstance(each, Tensor) and id(each) not in known:
                self._hold(each)
        return result

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes() // tensor.element_size()
        if not self._holders.get(key):
            self._holders[key] = 0
            self._live += size
            self.peak = max(self.peak, self._live)
        self._holders[key] += 1
        weakref.finalize(tensor, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._holders[key] -= 1
        if not self._holders[key]:
            self._live -= size


def live_while_predicting(network: nn.Module, images: Tensor) -> int:
    """The most values that are in memory at once in a pass without gradients."""
    with torch.no_grad(), LiveValues() as counter:
        network(images)
    return counter.peak


def measure(architecture: str, encoder: str, depth: int) -> list[int] | None:
    """The numbers of `engine.models.encoder_costs.EncoderCosts`; None where smp refuses."""
    try:
        network = smp_network(architecture, encoder, depth, TABLE_CHANNELS, TABLE_OUTPUTS)
    except ValueError:
        return None
    parameters = list(network.parameters())
    first = next(each for each in parameters if each.ndim == 4)
    assert first.shape[1] == TABLE_CHANNELS
    by_channel = 0 if encoder.startswith("mit_") else first.numel() // TABLE_CHANNELS
    by_output = sum(each.numel() for each in network.segmentation_head.parameters())
    network = network.to("meta").train()
    images = torch.empty(1, TABLE_CHANNELS, TABLE_SIZE_PX, TABLE_SIZE_PX, device="meta")
    assert network(images).shape[-2:] == images.shape[-2:]
    kept_values, index_bytes = kept_for_backward(network, images)
    flops, live_values = (
        forward_flops(network.eval(), images),
        live_while_predicting(network, images),
    )
    num_parameters = sum(each.numel() for each in parameters)
    return [num_parameters, by_channel, by_output, flops, kept_values, index_bytes, live_values]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    rows = {}
    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            for depth in DEPTHS:
                row = measure(architecture, encoder, depth)
                if row is not None:
                    rows[f"{architecture}/{encoder}/{depth}"] = row
        print(architecture, len(rows), file=sys.stderr)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    table = f"{{\n{lines}\n}}\n"
    if not options.check:
        TABLE.write_text(table, encoding="utf-8")
    elif table != TABLE.read_text(encoding="utf-8"):
        sys.exit(f"{TABLE.name} differs from what was measured.")


if __name__ == "__main__":
    main()
