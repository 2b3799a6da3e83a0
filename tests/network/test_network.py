"""A frozen network with cells in it: what it computes, and that nothing of them stays on it."""

import pytest
import torch
from torch.func import functional_call

from peftlab.backbone.timm.model import timm_model
from peftlab.errors import UserError

SMALL = {"img_size": 32, "depth": 2, "embed_dim": 16, "num_heads": 2}


def vit(name, **model_args):
    node = {"pretrained": False, "checkpoint": None, "sha256": None, "depth": None}
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
    # with norms: autocast, which the merged kernel asks for, does not know this device
    (output,) = model.network.outputs([model.cell], inputs, [{"norms": {}}])
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
