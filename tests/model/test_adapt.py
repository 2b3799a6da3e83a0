"""The Python door: somebody's own network, their own loop, and the words and the defaults of the command line."""

import copy
import io
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

import peftlab
from peftlab.backbone.backbone import Backbone
from peftlab.peft.lora import Lora
from peftlab.scaling.gamma import Gamma
from peftlab.site import Site

NAME = "vit_tiny_patch16_224"
SMALL = {"img_size": 32, "patch_size": 8, "depth": 4, "embed_dim": 32, "num_heads": 2}
PLACE = {"depth": "1-3", "position": "mlp1"}
SITES = [Site(block, "mlp1") for block in (1, 2, 3)]


def vit(num_classes=7, **more):
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=num_classes, **{**SMALL, **more}).eval()


def batch(num=20):
    """Pictures whose class is a colour and a direction: 10 classes that a network can tell apart."""
    rng = torch.Generator().manual_seed(3)
    labels = torch.arange(num) % 10
    patterns = torch.randn(10, 3, 32, 32, generator=rng)
    return patterns[labels] + 0.3 * torch.randn(num, 3, 32, 32, generator=rng), labels


def bilevel(model, theta, raw, x, y, *, num_outer=5, num_inner=4):
    """Inner steps on theta, an outer step on gamma.raw: the losses of the inner steps."""
    inner = torch.optim.AdamW(theta, lr=0.01, weight_decay=0.0)
    outer = torch.optim.Adam([raw], lr=0.05)
    losses = []
    for step in range(num_outer * num_inner):
        inner.zero_grad()
        outer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        (outer if step % (num_inner + 1) == num_inner else inner).step()
    return losses


class ByHand(nn.Module):
    """LoRA at mlp1 of blocks 1 to 3, written out: fc1(x) + softplus(raw) B A x, and a linear head."""

    def __init__(self, model, backbone):
        super().__init__()
        self.backbone = copy.deepcopy(backbone).eval().requires_grad_(False)
        self.backbone.reset_classifier(0)
        copies = {key: value.detach().clone() for key, value in model.state().items()}
        self.A = nn.ParameterList([copies[f"deltas.{block}_mlp1.A"] for block in (1, 2, 3)])
        self.B = nn.ParameterList([copies[f"deltas.{block}_mlp1.B"] for block in (1, 2, 3)])
        self.head = nn.ParameterList([copies["head.weight"], copies["head.bias"]])
        self.raw = nn.Parameter(copies["gamma.raw"])

    def theta(self):
        return [*self.A, *self.B, *self.head]

    def forward(self, images):
        own = self.backbone
        x = own._pos_embed(own.patch_embed(images))
        for index, block in enumerate(own.blocks):
            x = x + block.attn(block.norm1(x))
            read = block.norm2(x)
            hidden = block.mlp.fc1(read)
            if index:
                A, B = self.A[index - 1], self.B[index - 1]
                hidden = hidden + torch.log1p(torch.exp(self.raw[index - 1])) * (read @ A.T @ B.T)
            x = x + block.mlp.fc2(F.gelu(hidden))
        weight, bias = self.head
        return own.norm(x)[:, 0] @ weight.T + bias


def test_ten_lines_of_plain_torch_train_it_as_a_loop_by_hand_does():
    network, (x, y) = vit(), batch()
    model = peftlab.adapt(network, "lora", placement=PLACE, scaling="meta", head="linear", num_classes=10)
    assert isinstance(model, nn.Module)
    assert model.sites == SITES
    assert isinstance(model.gamma, Gamma)
    assert model.gamma.raw.shape == (3,)
    assert model.gamma.raw.requires_grad
    assert all(isinstance(model.delta_at(site), Lora) for site in SITES)
    reference = ByHand(model, network)
    start, raw = (
        {key: value.clone() for key, value in model.state().items()},
        model.gamma.raw.detach().clone(),
    )
    torch.testing.assert_close(model(x), reference(x))

    losses = bilevel(model, model.theta().values(), model.gamma.raw, x, y)
    expected = bilevel(reference, reference.theta(), reference.raw, x, y)

    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-3, atol=1e-3)
    chance = torch.tensor(10.0).log().item()
    assert abs(losses[0] / chance - 1) < 0.15
    assert losses[-1] < 0.2 * chance
    assert (model.gamma.raw - raw).abs().min() > 0.01, "gamma was not learned"
    torch.testing.assert_close(model.gamma.raw, reference.raw, rtol=1e-3, atol=1e-3)
    assert all(not torch.equal(value, start[key]) for key, value in model.state().items())
    torch.testing.assert_close(model.eval()(x), reference(x), rtol=1e-2, atol=1e-2)


def test_the_caller_s_random_state_mode_and_hooks_are_as_they_were():
    network = vit(drop_path_rate=0.1)
    network.train()
    network.blocks[2].eval()
    calls = []
    hooks = [
        network.blocks[0].register_forward_hook(lambda *_: calls.append("hook")),
        network.head.register_forward_pre_hook(lambda *_: calls.append("head")),
    ]
    torch.manual_seed(11)
    np.random.seed(11)
    states = torch.get_rng_state(), np.random.get_state()
    modes = [module.training for module in network.modules()]
    dicts = [sorted(vars(module)) for module in network.modules()]
    model = peftlab.adapt(network, "lora", placement=PLACE, scaling="meta", num_classes=10)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert all(np.array_equal(*pair) for pair in zip(np.random.get_state(), states[1], strict=True))
    calls.clear()
    model.train()
    model(batch()[0])
    model.eval()
    assert calls == ["hook"]  # and none of the classifier, which is left out
    assert [module.training for module in network.modules()] == modes
    assert [sorted(vars(module)) for module in network.modules()] == dicts
    assert torch.equal(torch.get_rng_state(), states[0])
    for hook in hooks:
        hook.remove()
    assert not network.blocks[0]._forward_hooks
    assert not network.head._forward_pre_hooks


PYTHON_S_OWN = """
import random, timm, torch, peftlab
network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=32, num_heads=2)
random.seed(11)
before = random.getstate()
model = peftlab.adapt(network, "dylora", scaling="meta", num_classes=10)
model(torch.randn(1, 3, 32, 32))
assert random.getstate() == before
"""


@pytest.mark.slow
def test_python_s_own_random_state_is_as_it_was():
    """In a process of its own: the checker of shapes, which runs in the tests, draws from it."""
    subprocess.run([sys.executable, "-c", PYTHON_S_OWN], check=True, timeout=120)


def test_the_network_itself_still_gives_what_it_gave():
    network, (x, _) = vit(), batch()
    before, values = network(x), {key: value.clone() for key, value in network.state_dict().items()}
    model = peftlab.adapt(network, "lora", placement=PLACE, num_classes=10)
    assert model.backbone is network
    model(x).sum().backward()
    assert torch.equal(network(x), before)
    assert network.state_dict().keys() == values.keys()
    assert all(torch.equal(value, values[key]) for key, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())


def test_a_second_one_on_the_same_network_is_independent():
    network, (x, y) = vit(), batch()
    one = peftlab.adapt(network, "lora", placement=PLACE, scaling="meta", num_classes=10).eval()
    first = one(x)
    two = peftlab.adapt(network, {"name": "adapter_pfeiffer", "bottleneck": 3}, num_classes=4, seed=5).eval()
    assert two(x).shape == (20, 4)
    assert torch.equal(one(x), first)
    theirs = two(x)
    bilevel(one, one.theta().values(), one.gamma.raw, x, y, num_outer=1)
    assert not torch.equal(one.eval()(x), first)
    assert torch.equal(two(x), theirs)


def test_state_goes_through_a_file_without_pickled_code():
    network, (x, y) = vit(), batch()
    one, other = (
        peftlab.adapt(network, "lora", placement=PLACE, scaling="meta", num_classes=10, seed=seed).eval()
        for seed in (0, 1)
    )
    bilevel(one, one.theta().values(), one.gamma.raw, x, y, num_outer=1)
    assert not torch.equal(other(x), one(x))
    file = io.BytesIO()
    torch.save(one.state(), file)
    file.seek(0)
    other.load_state(torch.load(file, weights_only=True))
    assert torch.equal(other(x), one(x))
    assert not any(key.startswith(("backbone", "cell", "network")) for key in one.state())


def test_a_deep_copy_is_a_whole_of_its_own():
    network, (x, y) = vit(), batch()
    model = peftlab.adapt(network, "lora", placement=PLACE, scaling="meta", num_classes=10).eval()
    twin = copy.deepcopy(model)
    first = model(x)
    assert torch.equal(twin(x), first)
    assert twin.backbone is not network
    assert twin.network.backbone.model is twin.backbone
    shared = {id(value) for value in [*model.parameters(), *model.buffers()]}
    assert not shared & {id(value) for value in [*twin.parameters(), *twin.buffers()]}
    bilevel(twin, twin.theta().values(), twin.gamma.raw, x, y, num_outer=1)
    assert not torch.equal(twin(x), first)
    assert torch.equal(model(x), first)
    with torch.no_grad():
        twin.backbone.blocks[0].mlp.fc1.weight.zero_()
    assert torch.equal(model(x), first)


@pytest.mark.parametrize(
    ("method", "scaling"), [("lora", "meta"), ("prefix", "learned"), ("bitfit", "fixed")]
)
def test_it_can_be_moved_to_another_precision(method, scaling):
    network, (x, _) = vit(), batch()
    model = peftlab.adapt(network, method, scaling=scaling, num_classes=10).eval()
    single = model(x)
    double = copy.deepcopy(model).to(torch.float64)
    assert {value.dtype for value in double.parameters()} == {torch.float64}
    found = double(x.double())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), single, rtol=1e-3, atol=1e-3)
    assert model(x).dtype == torch.float32


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_a_classifier_of_its_own_is_left_out(pool):
    """With avg, timm puts the last norm behind the pooling whether or not there is a classifier."""
    x, _ = batch()
    with_one, without = vit(7, global_pool=pool), vit(0, global_pool=pool)
    without.load_state_dict({k: v for k, v in with_one.state_dict().items() if not k.startswith("head.")})
    models = [
        peftlab.adapt(own, "lora", placement=PLACE, num_classes=10).eval() for own in (with_one, without)
    ]
    with torch.no_grad():
        for model in models:
            for site in SITES:
                model.delta_at(site).B.fill_(0.1)
    assert torch.equal(models[0].features(x), models[1].features(x))
    assert torch.equal(models[0](x), models[1](x))
    assert models[0].num_parameters()["head"] == models[1].num_parameters()["head"] == 320
    assert isinstance(with_one.head, nn.Linear)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"peft": "lorra"}, r"lorra.*lora"),
        ({"peft": {"rnak": 3}}, r"peft\.rnak.*rank"),
        ({"peft": {"name": "lora", "rank": -1}}, r"peft\.rank=-1.*a whole number from 1 to 4096"),
        ({"peft": {"rank": "many"}}, r"peft\.rank=many.*a whole number from 1 to 4096"),
        ({"placement": {"depth": "9"}}, r"depth.*9"),
        ({"placement": {"position": "mlp3"}}, r"position.*mlp3.*mlp2"),
        ({"scaling": "fixd"}, r"fixd.*fixed"),
        ({"head": {"scale": 0}}, r"head\.scale=0"),
        ({"peft": {"insertion": "heads"}}, r"peft\..*heads"),
        (
            {"peft": "mask_fisher"},
            r"^peft: this method scores weights on training items, and there are none here",
        ),
        ({"placement": {"name": "sensitivity", "keep": 3}}, r"placement=sensitivity.*here is no run"),
        ({"head": {"init": "class_mean"}}, r"head\.init=class_mean.*class_means=TENSOR"),
        (
            {"head": {"init": "linear_probe"}},
            r"head\.init=linear_probe is fitted on training items.*legal: class_mean",
        ),
    ],
)
def test_a_wrong_word_is_one_sentence(given, words):
    network = vit()
    before = [sorted(vars(module)) for module in network.modules()]
    with pytest.raises(peftlab.UserError, match=words) as error:
        peftlab.adapt(network, **{"num_classes": 3, **given})
    assert "\n" not in str(error.value)
    assert [sorted(vars(module)) for module in network.modules()] == before


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"peft": "lorra"}, ["peft=lorra"]),
        ({"peft": {"rank": -1}}, ["peft.rank=-1"]),
        ({"peft": {"rnak": 3}}, ["+peft.rnak=3"]),
        ({"placement": {"depth": "9"}}, ["placement.depth=9"]),
        ({"scaling": {"value": "x"}}, ["scaling.value=x"]),
        ({"scaling": "meta", "peft": "bitfit"}, ["scaling=meta", "peft=bitfit"]),
    ],
)
def test_the_sentence_is_that_of_the_command_line(given, typed):
    """`composed` and `resolve` are what the command line does, on a backbone of as many blocks."""
    from fixtures.configs import composed
    from hydra.errors import HydraException

    from peftlab.config.resolve import resolve
    from peftlab.config.sentence import sentence

    with pytest.raises(peftlab.UserError) as ours:
        peftlab.adapt(vit(), **{"num_classes": 3, **given})
    words = [f"backbone.name={NAME}", "backbone.depth=4", "head.init=random"]
    try:
        resolve(composed(*typed, *words))
        raise AssertionError("the command line takes it")
    except (HydraException, peftlab.UserError) as error:
        theirs = sentence(error, typed)
    assert str(ours.value) == theirs


CASES = [
    ({}, []),
    ({"peft": "lora", "scaling": "meta"}, ["peft=lora", "scaling=meta"]),
    (
        {"peft": {"name": "prefix", "length": 3}, "scaling": "learned"},
        ["peft=prefix", "peft.length=3", "scaling=learned"],
    ),
    ({"peft": "adaptformer", "placement": {"depth": 1}}, ["peft=adaptformer", "placement.depth=1"]),
    ({"peft": "bitfit", "head": "linear"}, ["peft=bitfit", "head=linear"]),
    ({"peft": "unipelt", "scaling": "gated", "seed": 3}, ["peft=unipelt", "scaling=gated", "seed=3"]),
    ({"peft": {"name": "mask_random", "keep_ratio": 0.2}}, ["peft=mask_random", "peft.keep_ratio=0.2"]),
    (
        {"peft": "mam", "placement": {"name": "random_k", "keep": 3}},
        ["peft=mam", "placement=random_k", "placement.keep=3"],
    ),
]


@pytest.mark.parametrize(("given", "words"), CASES)
def test_the_defaults_are_those_of_the_command_line(given, words):
    """The names and the values of theta, gamma and masks are those that `build` gives for the same words and seed."""
    from fixtures.configs import composed

    from peftlab.build.experiment import build
    from peftlab.config.resolve import resolve

    tiny = ("backbone=tiny", "head.init=random", "device=cpu")
    experiment = build(resolve(composed(*words, *tiny)))
    network = copy.deepcopy(experiment.trunk.backbone.model)
    model = peftlab.adapt(network, num_classes=10, **given)
    ours, theirs = model.state(), experiment.cell.state()
    assert list(ours) == list(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    scales, others = model.gamma.scales(), experiment.cell.gamma.scales()
    assert scales.keys() == others.keys()
    assert all(torch.equal(value, others[site]) for site, value in scales.items())
    x, _ = batch()
    (wanted,) = experiment.network.outputs([experiment.cell.eval()], {"images": x})
    assert torch.equal(model.eval()(x), wanted)


def test_the_head_starts_from_class_means_that_are_given():
    means = torch.randn(10, 32, generator=torch.Generator().manual_seed(2))
    model = peftlab.adapt(vit(), "lora", num_classes=10, class_means=means)
    x, _ = batch()
    features = model.features(x)
    cosines = F.normalize(features, dim=-1) @ F.normalize(means, dim=-1).T
    found = model(x) / model(x).abs().max()
    torch.testing.assert_close(found, cosines / cosines.abs().max(), rtol=1e-3, atol=1e-3)


def test_inputs_by_place_or_by_name():
    model, (x, _) = peftlab.adapt(vit(), "lora", num_classes=10).eval(), batch()
    assert torch.equal(model(x), model(images=x))
    assert torch.equal(model(x), model.head(model.features(x)))


def test_what_is_no_network_of_timm_is_said():
    with pytest.raises(peftlab.UserError) as error:
        peftlab.adapt(nn.Sequential(nn.Linear(3, 3)), "lora", num_classes=3)
    assert "\n" not in str(error.value)


def test_the_backbone_is_a_table_of_the_same_network():
    network = vit()
    model = peftlab.adapt(network, "lora", num_classes=3)
    backbone = model.network.backbone
    assert isinstance(backbone, Backbone)
    assert backbone.model is network
    assert (backbone.depth, backbone.num_features, backbone.name) == (4, 32, NAME)


TEXT_CASES = [case for case in CASES if case[0].get("placement") != {"depth": 1}]


@pytest.mark.parametrize(("given", "words"), TEXT_CASES)
@pytest.mark.parametrize("kind", ["BertModel", "BertForSequenceClassification", "LlamaForCausalLM"])
def test_a_network_of_transformers_is_that_of_a_run(adapt, inputs_of, data_seen, kind, given, words):
    """Names, values and outputs are those of the same words on the same weights, read from files."""
    import transformers
    from fixtures.configs import composed
    from fixtures.text import config_of, random_encoder

    if kind == "LlamaForCausalLM" and "bitfit" in str(words):
        pytest.skip("it has no bias")
    if kind != "BertModel" and "mask_random" in str(words):
        pytest.skip("a mask keeps a share of all weights, and a head is not there in both")
    family = "llama" if "Llama" in kind else "bert"
    config = transformers.AutoConfig.for_model(**config_of(family))
    more = {"add_pooling_layer": False} if kind == "BertModel" else {}
    network = getattr(transformers, kind)(config, **more)
    wanted = random_encoder(family)
    state = {key: value for key, value in wanted.model.state_dict().items() if "unembedding" not in key}
    network.base_model.load_state_dict(state, strict=False)
    before = [sorted(vars(module)) for module in network.modules()]
    ours = peftlab.adapt(network, num_classes=3, pool="last" if family == "llama" else "mean", **given).eval()
    with data_seen():
        theirs, _ = adapt(
            composed(*words, "backbone=tiny_text", "dataset=trec_lt", "head.init=random"), wanted
        )
    found, expected = ours.state(), theirs.state()
    assert list(found) == list(expected)
    deltas = [key for key in found if not key.startswith("head")]
    assert [key for key in deltas if not torch.equal(found[key], expected[key])] == []
    theirs.load_state(found)
    inputs = inputs_of(wanted, 5)
    assert torch.equal(ours(**inputs), theirs.eval()(**inputs))
    assert torch.equal(ours(*inputs.values()), ours(**inputs))
    assert [sorted(vars(module)) for module in network.modules()] == before
    ours(**inputs).sum().backward()
    assert all(value.grad is None for value in network.parameters())


def test_pooling_is_for_networks_of_transformers():
    with pytest.raises(peftlab.UserError, match="pool=mean is for networks of transformers; legal: None"):
        peftlab.adapt(vit(), "lora", num_classes=3, pool="mean")
