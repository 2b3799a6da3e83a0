"""Clips in a network: frames in the batch, temporal sites, attention over time, cells that share a forward."""

import pytest
import torch

from peftlab.network.clips import of_clips, over_time
from peftlab.network.network import Network
from peftlab.peft.delta import Temporal
from peftlab.peft.view import EVAL
from peftlab.site import Site

FRAMES = 4
FRAME_WISE = ("lora", "adapter_houlsby", "prefix", "vpt_deep", "bitfit")
TEMPORAL = ("st_adapter", "aim")
KEYS = {"st_adapter": {"peft.parts.mlp.depth": 0}}


def clips_of(backbone, num_items=3, num_frames=FRAMES, seed=1):
    size, rng = backbone.input_spec.size, torch.Generator().manual_seed(seed)
    return torch.randn(num_items, num_frames, 3, size, size, generator=rng)


def with_numbers(model, seed=3):
    """Every trained tensor away from where it starts."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.theta().values():
            value.add_(0.2 * torch.randn(value.shape, generator=rng).to(value))
    return model.eval()


@pytest.fixture
def adapted(recipe, family, adapt):
    def make(method, backbone="plain", **keys):
        own = family(backbone) if isinstance(backbone, str) else backbone
        return adapt(recipe(method, **KEYS.get(method, {}), **keys), own)[0]

    return make


@pytest.mark.parametrize("method", ["lora", "adaptformer", "bitfit", *TEMPORAL])
@pytest.mark.parametrize("name", ["plain", "average", "eva02"])
def test_at_the_start_a_clip_has_the_mean_of_its_frames_features_bit_for_bit(adapted, family, method, name):
    backbone, clips = family(name), clips_of(family(name))
    model = adapted(method, name).eval()
    frames = backbone.features({"images": clips.flatten(0, 1)}).unflatten(0, (3, FRAMES))
    assert torch.equal(model.features(clips=clips), frames.mean(1))
    assert torch.equal(model(clips=clips), model.head(frames.mean(1)))


def test_with_a_linear_head_logits_are_the_mean_of_the_frames_logits_and_with_a_cosine_head_they_are_not(
    adapted, family
):
    clips = clips_of(family("plain"))
    linear = adapted("lora", head={"_target_": "peftlab.head.linear.Linear", "init": "random"})
    for model, is_mean in ((linear, True), (adapted("lora"), False)):
        mean = model(images=clips.flatten(0, 1)).unflatten(0, (3, FRAMES)).mean(1)
        assert torch.allclose(model(clips=clips), mean, rtol=0, atol=1e-4) == is_mean


@pytest.mark.parametrize("method", [*FRAME_WISE, *TEMPORAL])
def test_the_order_of_frames_is_nothing_to_what_acts_frame_by_frame_and_something_to_what_is_temporal(
    adapted, family, method
):
    backbone = family("plain")
    model, clips = with_numbers(adapted(method)), clips_of(backbone)
    with torch.no_grad():
        found = model(clips=clips)
        turned = model(clips=clips.flip(1))
        shuffled = model(clips=clips[:, [2, 0, 3, 1]])
    if method in TEMPORAL:
        assert (found - turned).abs().max() > 1e-3
        assert (found - shuffled).abs().max() > 1e-3
    else:
        for other in (turned, shuffled):
            torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", TEMPORAL)
def test_no_item_sees_another(adapted, family, method):
    model, clips = with_numbers(adapted(method)), clips_of(family("plain"))
    with torch.no_grad():
        together = model(clips=clips)
        for item in range(3):
            alone = model(clips=clips[item : item + 1])
            torch.testing.assert_close(alone[0], together[item], rtol=1e-4, atol=1e-4)


class Reversed(Temporal):
    def forward(self, read, now=EVAL):
        return read.flip(1)


@pytest.mark.parametrize("shape", [(6, 5, 2), (6, 4, 3, 2)])
def test_a_temporal_delta_sees_all_frames_of_an_item_whatever_the_arrangement_of_tokens(shape):
    read = torch.randn(shape)
    found = of_clips(Reversed(), read, 3, EVAL)
    expected = read[[2, 1, 0, 5, 4, 3]]
    assert torch.equal(found, expected)


def test_over_time_each_token_is_a_sequence_of_its_frames():
    read = torch.randn(6, 5, 2, dtype=torch.float64)  # two items of three frames
    found = over_time(lambda x: x.cumsum(1), read, 3)
    for item in range(2):
        for frame in range(3):
            expected = read[3 * item : 3 * item + frame + 1].sum(0)
            torch.testing.assert_close(found[3 * item + frame], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "methods",
    [("lora", "st_adapter"), ("aim", "lora", "st_adapter"), ("aim", "aim"), ("aim", "linear_probe")],
)
def test_cells_that_share_a_forward_get_what_they_get_alone(adapted, family, methods):
    """A clip's frames are rows of its cell."""
    backbone, clips = family("plain"), clips_of(family("plain"))
    keys = {"lora": {"placement.depth": 1}}
    models = [
        with_numbers(adapted(name, **keys.get(name, {})), seed=place) for place, name in enumerate(methods)
    ]
    network, cells = Network(backbone), [model.cell for model in models]
    rng = torch.Generator().manual_seed(0)
    outputs = network.outputs(cells, {"clips": clips})
    direction = [torch.randn(own.shape, generator=rng) for own in outputs]
    torch.autograd.backward(outputs, direction)
    joint = [{name: value.grad for name, value in model.theta().items()} for model in models]
    for model, own, weights, grads in zip(models, outputs, direction, joint, strict=True):
        model.zero_grad()
        alone = model(clips=clips)
        torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-4)
        alone.backward(weights)
        for name, value in model.theta().items():
            torch.testing.assert_close(grads[name], value.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", TEMPORAL)
def test_blocks_that_run_again_in_backward_give_the_same_gradients(adapted, family, method):
    backbone, clips = family("plain"), clips_of(family("plain"))
    found = []
    for checkpointing in (False, True):
        model = with_numbers(adapted(method))
        network = Network(backbone, checkpointing=checkpointing)
        network.outputs([model.cell], {"clips": clips})[0].square().sum().backward()
        found.append({name: value.grad for name, value in model.theta().items()})
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_what_a_site_adds_before_a_norm_is_measured_against_the_stream(adapted, family):
    model = with_numbers(adapted("st_adapter"))
    ratios = model.ratios(clips=clips_of(family("plain")))
    assert set(ratios) == {Site(0, "norm1"), Site(1, "norm1"), Site(0, "norm2")}
    assert all(value > 0 for value in ratios.values())
