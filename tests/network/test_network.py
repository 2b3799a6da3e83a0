"""The adapted model as a whole."""

import pytest
import torch
from torch.func import functional_call

from peftlab.backbone.timm.model import timm_model
from peftlab.errors import UserError
from peftlab.network.adapted import site_key
from peftlab.site import Site

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
    assert not any("forward" in vars(module) for module in backbone.model.modules()), "not detached"


def test_the_model_is_built_where_the_backbone_is(recipe, vit_base, adapt):
    """On a GPU the backbone is moved first; here the other device is `meta`."""
    model, _ = adapt(recipe("lora"), vit_base)
    assert {value.device.type for value in [*model.parameters(), *model.buffers()]} == {"meta"}
    with model.measure():  # autocast, which the merged kernel asks for, does not know this device
        assert model(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 3)


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


def test_the_backbone_stays_in_eval_mode(recipe, family, adapt):
    model, _ = adapt(recipe("adaptformer"), family("plain"))
    model.train()
    assert model.deltas["0_ffn"].training
    assert model.head.training
    assert not any(module.training for module in model.backbone.modules())
    model.eval()
    assert not model.deltas["0_ffn"].training


def test_dropout_acts_in_training_only(recipe, family, adapt):
    model, _ = adapt(recipe("adaptformer"), family("plain"))
    shake(model)
    assert torch.equal(model.eval()(images()), model(images()))
    assert not torch.equal(model.train()(images()), model(images()))


def test_measured_and_merged_forward_agree(recipe, family, adapt):
    model, _ = adapt(recipe("lora"), family("plain"))
    shake(model)
    merged = model(images())
    with model.measure() as norms:
        measured = model(images())
    torch.testing.assert_close(merged, measured)
    assert norms.keys() == set(model.sites)
    assert all(value > 0 for value in norms.values())
    assert torch.equal(model(images()), merged), "measuring has not ended"


def test_values_of_a_functional_call_reach_every_site(recipe, family, adapt):
    """The outer loop differentiates through theta and gamma that are not the module's own."""
    model, _ = adapt(recipe("lora", "meta"), family("plain"))
    values = {name: value.detach().clone() for name, value in model.theta().items()}
    values["gamma.raw"] = model.gamma.raw.detach().clone()
    values = {name: (value + 0.1).requires_grad_() for name, value in values.items()}
    grads = torch.autograd.grad(
        functional_call(model, values, (images(),)).square().sum(), list(values.values())
    )
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
        loss = functional_call(model, values, (images().double(),)).square().mean()
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


def test_site_keys():
    assert site_key(Site(3, "q")) == "3_q"
