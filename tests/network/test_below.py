"""Where a forward begins that leaves out the frozen blocks below a cell: the same features, bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.resolve import resolve
from peftlab.model.load import empty_head
from peftlab.network.below import first_block
from peftlab.network.network import Network

Config = Callable[..., dict[str, Any]]
SMALL = (
    "backbone=tiny",
    "backbone.depth=4",
    "backbone.model_args.depth=4",
    "head.init=random",
    "head=linear",
)


@pytest.fixture
def made(composed: Config) -> Callable[..., Any]:
    """`made(words, words)`: a backbone, and a cell of each, moved away from its start."""

    def make(*each: tuple[str, ...]) -> Any:
        cells, backbone = [], None
        for words in each:
            resolved = resolve(composed(*SMALL, *words))
            backbone = backbone or resolved.backbone()
            start = Start(empty_head(resolved, backbone, 10))
            cell = build_cell(resolved, backbone, place_on(resolved, backbone), start).cell
            with torch.no_grad():
                for value in cell.theta().values():
                    value.add_(0.1)
            cells.append(cell.eval())
        return backbone, cells

    return make


def size(backbone: Any) -> dict[str, torch.Tensor]:
    (images,) = backbone.input_spec.example().values()
    shape = (3, *images.shape[1:])
    return {"images": torch.randn(shape, generator=torch.Generator().manual_seed(0))}


WORDS = [
    ("placement.depth=0", 0),
    ("placement.depth=2-3", 2),
    ("placement.depth=3", 3),
]


@pytest.mark.parametrize(("depth", "first"), WORDS)
@pytest.mark.parametrize("method", ["lora", "adapter_houlsby", "prefix", "vpt_deep", "adapter_parallel"])
def test_a_forward_may_begin_at_the_first_site(made: Any, method: str, depth: str, first: int) -> None:
    backbone, (cell,) = made((f"peft={method}", depth))
    inputs = size(backbone)
    assert first_block(cell, backbone) == first
    alone = Network(backbone).features([cell], inputs)[0]
    network = Network(backbone, num_together=1)
    for _ in range(2):
        assert torch.equal(network.features([cell], inputs)[0], alone)


@pytest.mark.parametrize("words", [("peft=linear_probe",), ("peft=bitfit",)])
def test_without_sites(made: Any, words: tuple[str, ...]) -> None:
    backbone, (cell,) = made(words)
    inputs = size(backbone)
    assert first_block(cell, backbone) == (4 if words == ("peft=linear_probe",) else 0)
    assert torch.equal(
        Network(backbone, 1).features([cell], inputs)[0], Network(backbone).features([cell], inputs)[0]
    )


def test_each_block_below_runs_once_for_a_batch(made: Any) -> None:
    words = [("placement.depth=3",), ("placement.depth=1-2",), ("placement.depth=0",), ("peft=linear_probe",)]
    backbone, cells = made(*words)
    network = Network(backbone, num_together=1)
    counts = [0] * 4
    for index in range(4):

        def count(module: Any, args: Any, output: Any, index: int = index) -> None:
            counts[index] += 1

        backbone.model.blocks[index].attn.register_forward_hook(count)
    inputs = size(backbone)
    for (place,) in network.groups(cells):
        network.features([cells[place]], inputs)
    assert network.groups(cells) == [[2], [1], [0], [3]]
    # block 0 for the cell that begins there and once below; block 3 above each cell that has sites, and once for the head alone
    assert counts == [2, 3, 3, 4]
    network.features([cells[0]], inputs)
    assert counts == [2, 3, 3, 5]
    network.features([cells[0]], dict(inputs))  # another batch
    assert counts == [3, 4, 4, 6]


def test_gradients_reach_what_is_trained_and_nothing_below(made: Any) -> None:
    backbone, (cell,) = made(("placement.depth=2",))
    inputs = size(backbone)
    found = []
    for network in (Network(backbone), Network(backbone, num_together=1)):
        for value in cell.theta().values():
            value.grad = None
        network.outputs([cell], inputs)[0].square().sum().backward()
        found.append({name: value.grad.clone() for name, value in cell.theta().items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_stages_of_blocks_have_no_such_place(composed: Config) -> None:
    """What stands between two stages is no block."""
    resolved = resolve(
        composed("backbone=swin_tiny_patch4_window7_224.ms_in1k", "backbone.pretrained=false", "device=cpu")
    )
    network = Network(resolved.backbone(), num_together=1)
    assert network._below is None
