"""Frozen layers in int8: the network is that of the numbers which they stand for, for every method, in a quarter of the memory."""

import copy
import subprocess
import sys
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from conftest import FAMILIES
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import shapes_of
from peftlab.backbone.int8 import Int8Linear, quantised
from peftlab.backbone.plain import is_int8, plain
from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import with_classes
from peftlab.build.start import Start
from peftlab.config.resolve import resolve
from peftlab.model.load import empty_head
from peftlab.network.network import Network
from peftlab.stream import generator

pytest.importorskip("torchao", reason="peftlab[quantise] is not installed")
INT8 = "backbone.quantise=int8"
FOUR = ("backbone=tiny", "backbone.depth=4", "backbone.model_args.depth=4")
EIGHT = ("backbone=tiny", "backbone.depth=8", "backbone.model_args.depth=8")
METHODS = (
    *("lora", "dora", "pissa", "vera", "dylora", "adapter_houlsby", "adapter_pfeiffer", "adapter_parallel"),
    *("adapter_scaled_parallel", "adaptformer", "prefix", "mh_pa", "vpt_shallow", "vpt_deep", "soft_prompt"),
    *("gated_prompt", "ssf", "ia3", "mam", "unipelt", "hlpt", "h2lpt"),
    *("bitfit", "layernorm", "mask_random", "linear_probe"),
)
MORE = {
    "lora": ("placement.depth=1-3",),
    "mask_random": ("peft.keep_ratio=0.1",),
}


def as_plain(backbone: Backbone, twin: Backbone) -> Backbone:
    """An fp32 network of the same kind, with the numbers of one in int8."""
    assert not [name for name, value in twin.model.named_parameters() if is_int8(value)]
    numbers = dict(backbone.model.named_parameters())
    with torch.no_grad():
        for name, value in twin.model.named_parameters():
            value.copy_(plain(numbers[name]))
    return twin


def pair(resolved: Any, plain_one: Any) -> tuple[Backbone, Backbone]:
    backbone = resolved.backbone()
    return backbone, as_plain(backbone, plain_one.backbone())


def cell_on(resolved: Any, backbone: Backbone, num_classes: int = 10) -> Any:
    """A cell moved away from its start."""
    start = Start(empty_head(resolved, backbone, num_classes))
    cell = build_cell(resolved, backbone, place_on(resolved, backbone), start).cell
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in cell.theta().values():
            value.add_(0.05 * torch.randn(value.shape, generator=rng))
    return cell.train()


def step(network: Network, cell: Any, inputs: dict[str, Tensor], precision: str = "fp32") -> list[Tensor]:
    """The output, and the gradients of the input and of all that is trained."""
    now = {"rng": generator(0, "dropout", 3), "widths": cell.sample(generator(0, "draw", 3))}
    own = {name: value.clone().requires_grad_(value.is_floating_point()) for name, value in inputs.items()}
    with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
        (output,) = network.outputs([cell], own, [now])
    output.float().square().mean().backward()
    read = [value.grad for value in own.values() if value.grad is not None]
    trained = [value.grad for value in cell.theta().values() if value.grad is not None]
    assert trained
    return [output.detach(), *read, *trained]


def example(backbone: Backbone, size: int = 3) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {
        name: torch.randn((size, *value.shape[1:]), generator=rng)
        if value.is_floating_point()
        else value.expand(size, *value.shape[1:]).contiguous()
        for name, value in backbone.input_spec.example().items()
    }


def num_bytes(model: nn.Module, inside: str) -> int:
    """What the weights of the linear layers below a name take."""
    layers = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and name.startswith(inside)]
    weights: list[Any] = [layer.weight for layer in layers]
    return sum(
        w.qdata.nbytes + w.scale.nbytes if is_int8(w) else w.untyped_storage().nbytes() for w in weights
    )


def close(found: list[Tensor], wanted: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_outputs_and_gradients_are_those_of_the_numbers_that_the_weights_stand_for(composed, method):
    size = EIGHT if method in ("hlpt", "h2lpt") else FOUR
    words = (*size, "head.init=random", "head=linear", f"peft={method}", *MORE.get(method, ()))
    resolved, other = resolve(composed(*words, INT8)), resolve(composed(*words))
    backbone, twin = pair(resolved, other)
    inputs = example(backbone)
    found = step(Network(backbone), cell_on(resolved, backbone), inputs)
    close(found, step(Network(twin), cell_on(other, twin), inputs))


@pytest.mark.parametrize("method", ["st_adapter", "aim", "lora"])
def test_clips_are_read_as_with_the_numbers_that_the_weights_stand_for(composed, method):
    words = (*FOUR, "dataset=moving_digits", "head.init=random", "head=linear", f"peft={method}")
    resolved, other = resolve(composed(*words, INT8)), resolve(composed(*words))
    backbone, twin = pair(resolved, other)
    rng = torch.Generator().manual_seed(1)
    inputs = {"clips": torch.randn((2, 4, *backbone.input_spec.example()["images"].shape[1:]), generator=rng)}
    found = step(Network(backbone), cell_on(resolved, backbone), inputs)
    close(found, step(Network(twin), cell_on(other, twin), inputs))


@pytest.mark.parametrize("method", ["coop", "cocoop", "maple", "clip_adapter", "lora"])
def test_two_towers_compare_as_with_the_numbers_that_the_weights_stand_for(composed, method):
    tokens = {"cocoop": 8, "maple": 6}  # of their words, which are letters here
    more = (f"peft.num_tokens={tokens[method]}",) if method in tokens else ()
    words = ("backbone=tiny_duo", "task=contrast", f"peft={method}", *more)
    resolved, other = (
        resolve(composed(*words, *(f"backbone.{tower}.quantise={how}" for tower in ("image", "text"))))
        for how in ("int8", "null")
    )
    given = pair(resolved, other)
    backbone, twin = (with_classes(resolved, each, ["ant", "big bear", "cow"], ["{}."]) for each in given)
    inputs = example(backbone)
    found = step(Network(backbone), cell_on(resolved, backbone, 3), inputs)
    close(found, step(Network(twin), cell_on(other, twin, 3), inputs))


@pytest.mark.parametrize("method", ["lora", "adaptformer", "prefix"])
@pytest.mark.parametrize("how", ["bf16", "checkpointing", "together"])
def test_the_ways_to_run_a_step_give_the_same(composed, method, how):
    words = (*FOUR, "head.init=random", "head=linear", f"peft={method}", "placement.depth=1-3")
    resolved, other = resolve(composed(*words, INT8)), resolve(composed(*words))
    found, wanted = [], []
    for result, own, backbone in zip((found, wanted), (resolved, other), pair(resolved, other), strict=True):
        cell, inputs = cell_on(own, backbone), example(backbone)
        if how == "together":
            cells = [cell, cell_on(own, backbone)]
            nows = [{"rng": generator(0, "dropout", 3)} for _ in cells]
            outputs = Network(backbone).outputs(cells, inputs, nows)
            sum(output.square().mean() for output in outputs).backward()
            result += [output.detach() for output in outputs]
            result += [value.grad for each in cells for value in each.theta().values()]
        else:
            network = Network(backbone, checkpointing=how == "checkpointing")
            result += step(network, cell, inputs, how)
    close(found, wanted)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_reads_as_the_numbers_that_its_weights_stand_for(family):
    first = FAMILIES[family]()
    own = copy.deepcopy(first.model.state_dict())
    backbone = quantised(first, "int8")
    assert backbone.hash != first.hash
    assert len(backbone.hash) == 64
    twin = as_plain(backbone, FAMILIES[family]())
    inputs = example(backbone)
    with torch.no_grad():
        close([backbone.features(inputs)], [twin.features(inputs)])
    roots = tuple(f"{name}." for name in backbone.blocks)
    for name, layer in backbone.model.named_modules():
        if isinstance(layer, nn.Linear):
            assert is_int8(layer.weight) == name.startswith(roots), name
            # symmetric, by row: within half a step of 1/127 of the largest
            W = own[f"{name}.weight"]
            error = (plain(layer.weight) - W).abs()
            assert bool((error <= W.abs().amax(1, keepdim=True) / 127 * 0.51).all())
    for name, value in backbone.model.named_parameters():
        assert is_int8(value) or torch.equal(value, own[name]), name


def test_the_weights_of_the_packaged_network_take_a_quarter(composed):
    backbone = resolve(composed(INT8)).backbone()
    before = num_bytes(resolve(composed()).backbone().model, "blocks.")
    assert 0.25 < num_bytes(backbone.model, "blocks.") / before < 0.26


def test_backward_keeps_no_weight_in_fp32(composed):
    words = (*FOUR, "head.init=random", "head=linear", "peft=lora", "placement.depth=0", INT8)
    resolved = resolve(composed(*words))
    backbone = resolved.backbone()
    shapes = {
        tuple(layer.weight.shape) for layer in backbone.model.modules() if isinstance(layer, Int8Linear)
    }
    kept: list[Tensor] = []
    cell = cell_on(resolved, backbone)
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        Network(backbone).outputs([cell], example(backbone))
    either = shapes | {shape[::-1] for shape in shapes}
    assert any(is_int8(value) for value in kept)
    assert not [value for value in kept if tuple(value.shape) in either and not is_int8(value)]


def test_second_derivatives_pass_through(composed):
    layer = resolve(composed("backbone=tiny", INT8)).backbone().model.blocks[0].mlp.fc1
    other = nn.Linear(layer.in_features, layer.out_features)
    other.load_state_dict({name: plain(value) for name, value in layer.state_dict().items()})
    grads = []
    for module in (layer, other):
        x = torch.linspace(-1, 1, 2 * layer.in_features).view(2, -1).requires_grad_()
        (first,) = torch.autograd.grad(module(x).pow(3).sum(), x, create_graph=True)
        grads.append(torch.autograd.grad(first.square().sum(), x)[0])
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)


def test_a_bias_that_is_trained_has_its_gradient(composed):
    layer = resolve(composed("backbone=tiny", INT8)).backbone().model.blocks[0].mlp.fc1
    bias = layer.bias.detach().clone().requires_grad_()
    x = torch.randn(4, 5, layer.in_features)
    torch.func.functional_call(layer, {"bias": bias}, (x,)).square().sum().backward()
    y = x @ plain(layer.weight).T + layer.bias
    torch.testing.assert_close(bias.grad, 2 * y.sum((0, 1)).detach(), rtol=1e-4, atol=1e-4)


def test_the_hash_is_that_of_the_rounded_network_in_every_process(composed):
    code = (
        "from peftlab.config.compose import composed; from peftlab.config.resolve import resolve;"
        f"print(resolve(composed('backbone=tiny', '{INT8}')).backbone().hash)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    own = resolve(composed("backbone=tiny", INT8)).backbone().hash
    assert (done.stdout.strip(), done.stderr) == (own, "")
    assert own != resolve(composed("backbone=tiny")).backbone().hash


def test_shapes_are_of_the_same_kind_and_round_nothing(composed):
    resolved = resolve(composed("backbone=tiny", INT8))
    empty, real = shapes_of(resolved.backbone), resolved.backbone()
    assert (empty.places, empty.hash) == (real.places, "meta")
    assert [type(module) for module in empty.model.modules()] == [type(m) for m in real.model.modules()]
    assert empty.num_weights == real.num_weights


def test_towers_of_a_duo_are_rounded_each_for_itself(composed):
    words = ("backbone=tiny_duo", "task=contrast")
    hashes = set()
    for more in ((), ("backbone.image.quantise=int8",), ("backbone.text.quantise=int8",)):
        resolved = resolve(composed(*words, *more))
        found = resolved.backbone()
        hashes.add(found.hash)
        kinds = {name.partition(".")[0] for name, value in found.model.named_parameters() if is_int8(value)}
        assert kinds == ({more[0].split(".")[1]} if more else set())
        assert shapes_of(resolved.backbone).places == found.places
    assert len(hashes) == 3
