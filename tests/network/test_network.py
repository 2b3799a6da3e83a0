"""A frozen network with cells in it: what it computes, and that nothing of them stays on it."""

import pytest
import torch
from torch.func import functional_call

from peftlab.backbone.timm.model import timm_model
from peftlab.errors import UserError

SMALL = {"img_size": 32, "depth": 2, "embed_dim": 16, "num_heads": 2}


def vit(name, **model_args):
    node = {"pretrained": False, "checkpoint": None, "sha256": None, "depth": None, "quantise": None}
    return timm_model(name=name, model_args=model_args, **node)


def images(size=32):
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))


def shake(model):
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.add_(0.1)
    return model


def call(model, values, x):
    """As the outer loop does it: other values in the place of the cell's own."""
    return functional_call(model.cell, values, (model.network, {"images": x}))


@pytest.mark.parametrize("position", ["q", "k", "v"])
def test_a_module_that_the_forward_bypasses_is_found(recipe, adapt, position):
    """BEiT's own forward multiplies with qkv.weight; the table makes it call the module instead."""
    backbone = vit("beit_base_patch16_224", **SMALL)
    backbone.model.blocks[1].attn.qkv_bias_separate = False
    with pytest.raises(
        UserError, match=rf"beit_base_patch16_224 never calls .* sites 1\.{position}; "
    ) as error:
        adapt(recipe("lora", cells={f"1.{position}": {}, "0.out": {}}), backbone)
    assert "\n" not in str(error.value)
    assert not any("forward" in vars(module) for module in backbone.model.modules()), "something is left"


def test_the_model_is_built_where_the_backbone_is(recipe, vit_base, adapt):
    """On a GPU the backbone is moved first; here the other device is `meta`."""
    model, _ = adapt(recipe("lora"), vit_base)
    assert {value.device.type for value in [*model.parameters(), *model.buffers()]} == {"meta"}
    inputs = {"images": torch.empty(2, 3, 224, 224, device="meta")}
    (output,) = model.network.outputs([model.cell], inputs)
    assert output.shape == (2, 3)


def test_out_is_parallel_to_its_layer(recipe, family, adapt):
    """MetaPEFT's release applies LoRA at `out` to W_o's output; here that takes insertion=sequential."""
    backbone = family("plain")
    proj, seen = backbone.model.blocks[0].attn.proj, {}
    for insertion in ("parallel", "sequential"):
        model, _ = adapt(recipe("lora", cells={"0.out": {}}, **{"peft.insertion": insertion}), backbone)
        shake(model)
        hook = proj.register_forward_hook(lambda _, args, out: seen.update(read=args[0], write=out))
        model.features(images())
        hook.remove()
        frozen, (delta,) = proj(seen["read"]), model.deltas.values()
        read = seen["read"] if insertion == "parallel" else frozen
        torch.testing.assert_close(seen["write"], frozen + read @ (delta.B @ delta.A).T)


@pytest.mark.parametrize("mode", [True, False])
def test_the_backbone_runs_in_eval_mode_and_keeps_the_mode_that_it_is_in(recipe, family, adapt, mode):
    backbone = family("plain")
    model, _ = adapt(recipe("adaptformer"), backbone)
    seen = []
    block = backbone.model.blocks[0]
    hook = block.register_forward_hook(
        lambda *_: seen.extend(one.training for one in backbone.model.modules())
    )
    try:
        backbone.model.train(mode)
        block.attn.eval()  # a mixture is kept too
        before = [module.training for module in backbone.model.modules()]
        model.train()
        assert model.deltas["0_ffn"].training
        assert model.head.training
        model(images())
        assert [module.training for module in backbone.model.modules()] == before
        model.eval()
        assert not model.deltas["0_ffn"].training
        assert [module.training for module in backbone.model.modules()] == before
    finally:
        hook.remove()
        backbone.model.eval()
    assert seen
    assert not any(seen)


def test_dropout_acts_in_training_only(recipe, family, adapt):
    model, _ = adapt(recipe("adaptformer"), family("plain"))
    shake(model)
    assert torch.equal(model.eval()(images()), model(images()))
    assert not torch.equal(model.train()(images()), model(images()))


def test_measured_and_merged_forward_agree(recipe, family, adapt):
    model, _ = adapt(recipe("lora"), family("plain"))
    shake(model)
    merged = model(images())
    norms = {}
    (measured,) = model.network.outputs([model.cell], {"images": images()}, [{"norms": norms}])
    torch.testing.assert_close(merged, measured)
    assert norms.keys() == set(model.sites)
    assert all(value > 0 for value in norms.values())
    assert torch.equal(model(images()), merged), "the norms of one forward reach into the next"
    ratios = model.ratios(images())
    assert ratios.keys() == norms.keys()
    assert all(torch.equal(ratios[site], value) for site, value in norms.items())


def test_values_of_a_functional_call_reach_every_site(recipe, family, adapt):
    """The outer loop differentiates through theta and gamma that are not the module's own."""
    model, _ = adapt(recipe("lora", "meta"), family("plain"))
    values = {name: value.detach().clone() for name, value in model.theta().items()}
    values["gamma.raw"] = model.gamma.raw.detach().clone()
    values = {name: (value + 0.1).requires_grad_() for name, value in values.items()}
    grads = torch.autograd.grad(call(model, values, images()).square().sum(), list(values.values()))
    assert all(grad.any() for grad in grads)
    assert grads[-1].count_nonzero() == len(model.sites)


def test_second_derivatives_match_finite_differences(recipe, adapt):
    """d2 L / dgamma dB through the merged kernel, timm's block and the math attention kernel."""
    backbone = vit("vit_tiny_patch16_224", patch_size=16, **SMALL)
    model, _ = adapt(recipe("lora", "meta", **{"peft.rank": 2}), backbone)
    shake(model).double()
    raw, B = model.gamma.raw, model.deltas["0_q"].B

    def slope(at):
        values = {"gamma.raw": at}
        loss = call(model, values, images().double()).square().mean()
        return torch.autograd.grad(loss, B, create_graph=True)[0].square().sum()

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        at = raw.detach().clone().requires_grad_()
        (grad,) = torch.autograd.grad(slope(at), at)
        for index in (0, 5, 11):
            step = torch.zeros_like(at)
            step[index] = 1e-4
            numeric = (slope(at.detach() + step) - slope(at.detach() - step)).item() / 2e-4
            assert grad[index].item() == pytest.approx(numeric, rel=1e-5, abs=1e-12)


def test_bf16_autocast_is_close_and_gradients_are_fp32(recipe, family, adapt):
    for method in ("lora", "adapter_houlsby", "adapter_parallel"):
        model, _ = adapt(recipe(method, "learned"), family("plain"))
        shake(model)
        fp32 = model(images())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            bf16 = model(images())
        assert (bf16.float() - fp32).norm() < 0.05 * fp32.norm()
        bf16.float().square().sum().backward()
        trained = [*model.theta().values(), model.gamma.raw]
        assert all(value.dtype == value.grad.dtype == torch.float32 for value in trained)


def traces(model):
    """All that a module could keep of somebody: own forwards, hooks, modes, and what else stands in its dict."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        name: (
            module.training,
            {key: value for key, value in vars(module).items() if key in ("forward", "num_prefix_tokens")},
            sorted(vars(module)),
            [list(vars(module)[key].values()) for key in hooks],
        )
        for name, module in model.named_modules()
    }


METHODS = [
    "lora",
    "adaptformer",
    "prefix",
    "mh_pa",
    "vpt_deep",
    "gated_prompt",
    "ssf",
    "ia3",
    "unipelt",
    "bitfit",
]


@pytest.mark.parametrize("name", ["plain", "eva02"])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_stays_on_the_backbone(recipe, family, adapt, method, name):
    backbone = family(name)
    size = backbone.input_spec.size
    before, frozen = traces(backbone.model), backbone.model(images(size))
    model, _ = adapt(recipe(method), backbone)
    model.train()
    assert traces(backbone.model) == before
    model(images(size)).square().sum().backward()
    model.ratios(images(size))
    assert traces(backbone.model) == before
    assert all(value.grad is None for value in backbone.model.parameters())
    assert torch.equal(backbone.model(images(size)), frozen)


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "where", ["patch_embed", "blocks.0.attn.qkv", "blocks.1", "blocks.1.mlp.fc2", "norm"]
)
@pytest.mark.parametrize("method", ["lora", "adaptformer", "prefix", "vpt_deep", "bitfit"])
def test_nothing_stays_when_a_forward_is_broken_off(recipe, family, adapt, method, where):
    backbone = family("plain")
    model, _ = adapt(recipe(method), backbone)
    expected, frozen = model.eval()(images()), backbone.model(images())
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}

    def stop(*_):
        raise Stop

    hook = backbone.model.get_submodule(where).register_forward_hook(stop)
    try:
        backbone.model.train()
        kept = traces(backbone.model)
        with pytest.raises(Stop):
            model(images())
        assert traces(backbone.model) == kept
    finally:
        hook.remove()
        backbone.model.eval()
    assert all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())
    assert torch.equal(backbone.model(images()), frozen)
    assert torch.equal(model(images()), expected)


def test_nothing_stays_when_a_delta_raises(recipe, family, adapt):
    backbone = family("plain")
    model, _ = adapt(recipe("lora"), backbone)
    before = traces(backbone.model)
    wrong = torch.randn(4, 3, 16, 16)  # of another size than the backbone takes
    with pytest.raises((AssertionError, RuntimeError, TypeError)):
        model(wrong)
    assert traces(backbone.model) == before


def test_other_people_s_hooks_go_on_and_see_the_adapted_tensors(recipe, family, adapt):
    backbone = family("plain")
    layer, seen = backbone.model.blocks[0].mlp.fc2, []
    hooks = [
        layer.register_forward_pre_hook(lambda _, args: seen.append(("in", args[0].shape))),
        layer.register_forward_hook(lambda _, args, output: seen.append(("out", output.detach().clone()))),
        layer.register_forward_hook(lambda _, args, output: output * 2),
    ]
    try:
        frozen = backbone.model(images())
        model, _ = adapt(recipe("lora", cells={"0.mlp2": {}}), backbone)
        shake(model)
        seen.clear()
        adapted = model.features(images())
        assert [side for side, _ in seen] == ["in", "out"]
        delta = model.deltas["0_mlp2"]
        read = torch.zeros(1, layer.in_features)
        assert not torch.equal(adapted, frozen), "their change of the output, and our site, both act"
        assert list(layer._forward_hooks.values()) != []
        assert len(layer._forward_hooks) == 2
        assert len(layer._forward_pre_hooks) == 1
        seen.clear()
        assert torch.equal(backbone.model(images()), frozen)
        assert len(seen) == 2
        assert delta(read).shape == (1, layer.out_features)
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("position", ["mlp1", "q"])
@pytest.mark.parametrize("method", ["adaptformer", "lora"])
def test_somebody_s_own_forward_on_a_module_is_called_and_survives(recipe, family, adapt, position, method):
    """As accelerate, or another adapter library, puts one on an instance."""
    backbone = family("plain")
    block = backbone.model.blocks[1]
    module = {"mlp1": block.mlp.fc1, "q": block.attn.qkv}[position]
    calls = []

    def own(x):
        calls.append(x)
        return 1.5 * type(module).forward(module, x)

    plain = backbone.model(images())
    module.forward = own
    try:
        frozen = backbone.model(images())
        assert not torch.equal(frozen, plain)
        # a low-rank update beside a linear layer is merged with the layer's weight, but not here
        peft = {"peft.positions": [position], "peft.insertion": "parallel"}
        model, _ = adapt(recipe(method, cells={f"1.{position}": {}}, **peft), backbone)
        assert vars(module)["forward"] is own
        calls.clear()
        torch.testing.assert_close(model.features(images()), frozen)
        assert len(calls) == 1
        assert vars(module)["forward"] is own
        shake(model)
        assert not torch.allclose(model.features(images()), frozen)
        assert vars(module)["forward"] is own
    finally:
        del module.forward
    assert torch.equal(backbone.model(images()), plain)


@pytest.mark.parametrize("other", ["lora", "adaptformer", "prefix", "vpt_deep", "bitfit", "unipelt"])
def test_two_models_on_one_backbone_are_independent_and_interleave(recipe, family, adapt, other):
    backbone = family("plain")
    frozen = backbone.model(images())
    keys = {"placement.position": ["q", "mlp1"], "placement.depth": 1}
    first = shake(adapt(recipe("lora", "learned", **keys), backbone)[0]).eval()
    alone = first(images()), first.features(images())
    second, _ = adapt(recipe(other), backbone)
    shake(second).eval()
    with torch.no_grad():
        for value in second.cell.selected.parameters():
            value.add_(0.1)
    assert second.network is not first.network
    theirs = second(images())
    for _ in range(2):
        assert torch.equal(first(images()), alone[0])
        assert torch.equal(second(images()), theirs)
    assert torch.equal(backbone.model(images()), frozen)
    optimizer = torch.optim.SGD(second.theta().values(), lr=0.1)
    second(images()).square().sum().backward()
    optimizer.step()
    assert all(value.grad is None for value in first.theta().values())
    assert torch.equal(first(images()), alone[0])
    assert torch.equal(first.features(images()), alone[1])
    assert not torch.equal(second(images()), theirs)
    assert torch.equal(backbone.model(images()), frozen)


def test_a_forward_inside_another_one_s_is_its_own(recipe, family, adapt):
    """A hook of a first model that runs a second one on the same backbone."""
    backbone = family("plain")
    one, two = (shake(adapt(recipe(method), backbone)[0]).eval() for method in ("lora", "adapter_parallel"))
    expected, inner = one(images()), two(images())
    seen = []

    def nested(module, args):
        if not seen:
            seen.append(None)
            seen.append(two(images()))

    hook = backbone.model.blocks[1].register_forward_pre_hook(nested)
    try:
        found = one(images())
    finally:
        hook.remove()
    assert torch.equal(found, expected)
    # inside, the first one's sites are still there: what is called in a forward is called within it
    assert seen[1].shape == inner.shape
    assert torch.equal(one(images()), expected)
    assert torch.equal(two(images()), inner)
