"""Blocks that run again in backward: the gradients of those that do not, bit for bit, and fewer tensors kept."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.resolve import resolve
from peftlab.model.load import empty_head
from peftlab.network.network import Network
from peftlab.stream import generator

Config = Callable[..., dict[str, Any]]
FOUR = ("backbone=tiny", "backbone.depth=4", "backbone.model_args.depth=4")
HEAD = ("head.init=random", "head=linear")
ADDITIVE = (
    *("lora", "dora", "pissa", "vera", "dylora", "adapter_houlsby", "adapter_pfeiffer", "adapter_parallel"),
    *("adapter_scaled_parallel", "adaptformer", "prefix", "mh_pa", "vpt_shallow", "vpt_deep", "soft_prompt"),
    *("gated_prompt", "ssf", "ia3", "mam", "unipelt", "hlpt", "h2lpt"),
)
SELECTIVE = ("bitfit", "layernorm", "mask_random", "partial", "full", "linear_probe")


@pytest.fixture
def made(composed: Config) -> Callable[..., Any]:
    """A backbone and a cell on it, moved away from its start."""

    def make(*words: str) -> Any:
        own = () if words[0].startswith("backbone=") else FOUR
        resolved = resolve(composed(*own, *HEAD, "placement.depth=1-3", *words))
        backbone = resolved.backbone()
        start = Start(empty_head(resolved, backbone, 10))
        cell = build_cell(resolved, backbone, place_on(resolved, backbone), start).cell
        rng = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for value in cell.theta().values():
                value.add_(0.05 * torch.randn(value.shape, generator=rng))
        return backbone, cell.train()

    return make


def example(backbone: Any) -> dict[str, Tensor]:
    found = {}
    for name, value in backbone.input_spec.example().items():
        rng = torch.Generator().manual_seed(1)
        found[name] = (
            torch.randn((3, *value.shape[1:]), generator=rng)
            if value.is_floating_point()
            else value.expand(3, *value.shape[1:]).contiguous()
        )
    return found


def step(network: Network, cell: Any, inputs: dict[str, Tensor], precision: str = "fp32") -> list[Tensor]:
    """The losses of two forwards on one stream, then the gradients: a forward must find the stream where the last one left it."""
    rng, widths = generator(0, "dropout", 3), cell.sample(generator(0, "draw", 3))
    values = []
    for _ in range(2):
        context = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
        with context:
            (output,) = network.outputs([cell], inputs, [{"rng": rng, "widths": widths}])
        loss = output.float().square().mean()
        loss.backward()
        values.append(loss.detach())
    grads = [value.grad.clone() for value in cell.parameters() if value.grad is not None]
    cell.zero_grad(set_to_none=True)
    return [*values, *grads]


def check_equal(made: Any, words: tuple[str, ...], precision: str = "fp32") -> None:
    backbone, cell = made(*words)
    inputs = example(backbone)
    kept = step(Network(backbone), cell, inputs, precision)
    again = step(Network(backbone, checkpointing=True), cell, inputs, precision)
    assert len(kept) == len(again) > 3
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))
    assert not any("forward" in vars(module) for module in backbone.model.modules()), "something is left"


@pytest.mark.parametrize("method", [*ADDITIVE, *SELECTIVE])
def test_gradients_are_the_same(made: Any, method: str) -> None:
    selects = method in (*SELECTIVE, "vpt_shallow", "soft_prompt", "gated_prompt")
    more = {
        "h2lpt": ("backbone.depth=8", "backbone.model_args.depth=8"),
        "mask_random": ("peft.keep_ratio=0.1",),
    }
    depth = ("placement.depth=all",) if selects else ()
    check_equal(made, (f"peft={method}", *depth, *more.get(method, ())))


@pytest.mark.parametrize(
    "words",
    [
        ("peft=lora", "peft.dropout=0.3"),
        ("peft=adaptformer", "peft.dropout=0.3"),
        ("peft=vpt_deep", "peft.dropout=0.3"),
        ("peft=lora", "scaling=learned"),
        ("peft=adaptformer", "scaling=gated"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_random_numbers_gamma_and_gates_are_the_same(
    made: Any, words: tuple[str, ...], precision: str
) -> None:
    check_equal(made, words, precision)


@pytest.mark.parametrize("backbone", ["tiny_text", "tiny_causal"])
@pytest.mark.parametrize("method", ["lora", "prefix", "vpt_deep"])
def test_texts(made: Any, tmp_path: Path, backbone: str, method: str) -> None:
    (tmp_path / "a.csv").write_text("text,label\nyes,1\nno,0\n")
    data = ("dataset=text_folder", f"dataset.path={tmp_path}/a.csv")
    words = (f"backbone={backbone}", *data, f"peft={method}", "placement.depth=1")
    check_equal(made, words)


def test_stages(made: Any) -> None:
    check_equal(
        made,
        (
            "backbone=swin_tiny_patch4_window7_224.ms_in1k",
            "backbone.pretrained=false",
            "backbone.depth=[1,2]",
            "++backbone.model_args={img_size:32,window_size:4,depths:[1,2],embed_dim:8,num_heads:[2,4]}",
            "placement.depth=1.0-1.1",
        ),
    )


def test_values_in_a_cell_s_place_are_those_of_the_forward(made: Any) -> None:
    """As an outer step has them: while backward runs, the cell has its own again."""
    backbone, cell = made("peft=lora", "scaling=meta", "peft.dropout=0.3")
    inputs, found = example(backbone), []
    for checkpointing in (False, True):
        network, norms = Network(backbone, checkpointing=checkpointing), dict[Any, Tensor]()
        theta = {name: value.detach() * 1.5 for name, value in cell.theta().items()}
        raw = cell.gamma.raw.detach().clone().requires_grad_()
        now = {"rng": generator(0, "dropout", 3), "norms": norms}
        output = functional_call(cell, {**theta, "gamma.raw": raw}, (network, inputs), now)
        (grad,) = torch.autograd.grad(output.square().mean(), [raw])
        assert grad.abs().sum() > 0
        found.append((grad, norms))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1].keys() == found[1][1].keys()
    assert all(torch.equal(value, found[1][1][site]) for site, value in found[0][1].items())


def kept_entries(network: Network, cell: Any, inputs: dict[str, Tensor]) -> int:
    """Entries of distinct tensors that a forward keeps for backward, parameters aside."""
    owned = {value.data_ptr() for value in [*cell.parameters(), *network.backbone.model.parameters()]}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in owned:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network.outputs([cell], inputs)[0]
    del output
    return sum(kept.values())


def test_less_is_kept(made: Any) -> None:
    """The hooks see what is outside of blocks alone; a block keeps what enters it, `[b, n, d]`."""
    backbone, cell = made("peft=lora", "placement.depth=all")
    inputs = example(backbone)
    all_of_it = kept_entries(Network(backbone), cell, inputs)
    outside = kept_entries(Network(backbone, checkpointing=True), cell, inputs)
    entering = 4 * 3 * 17 * 16  # four blocks, three pictures of 17 tokens
    assert outside + entering < all_of_it / 4
