"""Methods on text encoders, against Hugging Face's PEFT or a closed form, on batches with padding."""

import copy
import warnings
from functools import partial
from itertools import product

import pytest
import torch
from fixtures.answered import stirred
from fixtures.text import CAUSAL, DECODERS, NOT_ON_MAMBA, text_inputs
from torch.nn import functional as F

from peftlab.network.mask import with_room
from peftlab.site import Site

KINDS = ("bert", "roberta", "distilbert")
LINEAR = ("q", "k", "v", "out", "mlp1", "mlp2")
LENGTHS = (11, 4, 7)
RANK, SCALE = 3, 1.7


@pytest.fixture
def built(family, recipe, adapt):
    """A method with numbers of every kind, its backbone, and a padded batch."""

    def make(kind, method, scaling="fixed", **keys):
        backbone = family(kind)
        model, _ = adapt(recipe(method, scaling, **keys), backbone)
        rng = stirred(model)
        return backbone, model, text_inputs(backbone.input_spec, LENGTHS, rng)

    return make


@pytest.mark.parametrize("kind", [*KINDS, "llama", "gptj", "opt"])
def test_lora_equals_hugging_face_s(hugging_face, built, kind):
    backbone, model, inputs = built(kind, "lora", **{"peft.rank": RANK, "scaling.value": SCALE})
    paths = {site: backbone.place(site).output.module for site in model.sites}
    config = hugging_face.LoraConfig(r=RANK, lora_alpha=SCALE * RANK, target_modules=sorted(paths.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = hugging_face.get_peft_model(copy.deepcopy(backbone.model), config)
    layers = {site: wrapped.base_model.model.get_submodule(path) for site, path in paths.items()}
    assert len(layers) == (14 if kind == "llama" else 12)
    with torch.no_grad():
        for site, layer in layers.items():
            layer.lora_A["default"].weight.copy_(model.delta_at(site).A)
            layer.lora_B["default"].weight.copy_(model.delta_at(site).B)
    ours, theirs = model.features(**inputs), backbone.read(wrapped.eval(), inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=3e-6)
    slope = torch.randn(ours.shape, generator=torch.Generator().manual_seed(4))
    ours.backward(slope)
    theirs.backward(slope)
    for site, layer in layers.items():
        for own, other in ((model.delta_at(site).A, layer.lora_A), (model.delta_at(site).B, layer.lora_B)):
            grad = other["default"].weight.grad
            assert (own.grad - grad).norm() <= 3e-5 * grad.norm()


def block_of(backbone, block, heads=None, **acts):
    """One block in plain operations: `acts` change what a layer or sub-layer writes, `hidden` what mlp2 reads, `heads` the
    keys and values."""
    place = {name: backbone.place(Site(block, name)) for name in (*LINEAR, "norm1", "norm2")}

    def layer(name, x):
        y = backbone.model.get_submodule(place[name].output.module)(x)
        return acts[name](y) if name in acts else y

    def run(x, mask):
        q, k, v = (layer(name, x).unflatten(-1, (2, 8)).transpose(1, 2) for name in "qkv")
        if heads is not None:
            k, v, mask = heads(k, v, mask)
        shares = (q @ k.transpose(-1, -2) / 8**0.5).masked_fill(mask == 0, -torch.inf).softmax(-1)
        written = layer("out", (shares @ v).transpose(1, 2).flatten(2))
        x = layer("norm1", x + acts.get("attn", lambda x, y: y)(x, written))
        hidden = F.gelu(layer("mlp1", x))
        written = layer("mlp2", acts["hidden"](hidden) if "hidden" in acts else hidden)
        return layer("norm2", x + acts.get("ffn", lambda x, y: y)(x, written))

    return run


def features_of(backbone, inputs, *, heads=None, acts=None):
    """Embeddings, blocks in plain operations, mean over the mask."""
    own = {name: inputs[name] for name in inputs if name != "attention_mask"}
    x, mask = backbone.model.embeddings(**own), inputs["attention_mask"]
    for block in range(2):
        own_heads = None if heads is None else heads(block)
        own_acts = {} if acts is None else acts(block)
        x = block_of(backbone, block, own_heads, **own_acts)(x, mask[:, None, None, :])
    weight = mask.unsqueeze(-1).float()
    return (x * weight).sum(1) / weight.sum(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prefix_stands_before_the_keys_and_no_padding_is_seen(built, kind):
    backbone, model, inputs = built(kind, "prefix", **{"peft.length": 5})

    def heads(block):
        P = model.delta_at(Site(block, "kv")).vectors().unflatten(-1, (2, 8)).transpose(1, 2)

        def act(k, v, mask):
            front = [own.expand(len(k), -1, -1, -1) for own in P]
            seen = torch.cat([mask.new_ones(len(mask), 1, 1, 5), mask], dim=-1)
            return torch.cat([front[0], k], dim=2), torch.cat([front[1], v], dim=2), seen

        return act

    wanted = features_of(backbone, inputs, heads=heads)
    torch.testing.assert_close(model.features(**inputs), wanted, rtol=1e-5, atol=1e-5)
    assert (wanted - backbone.features(inputs)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_ia3_rescales_keys_values_and_the_hidden_layer(built, kind):
    backbone, model, inputs = built(kind, "ia3")

    def rescaled(site, y):
        return (1 + model.delta_at(site).l) * y

    def acts(block):
        at = {"k": "k", "v": "v", "hidden": "mlp2"}
        return {name: partial(rescaled, Site(block, position)) for name, position in at.items()}

    wanted = features_of(backbone, inputs, acts=acts)
    torch.testing.assert_close(model.features(**inputs), wanted, rtol=1e-5, atol=1e-5)
    assert (wanted - backbone.features(inputs)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "is_sequential"),
    [("adapter_parallel", False), ("adapter_scaled_parallel", False), ("adapter_houlsby", True)],
)
def test_an_adapter_reads_the_stream_or_what_is_written_and_writes_before_the_norm(
    built, kind, method, is_sequential
):
    backbone, model, inputs = built(kind, method)

    def added(site, x, y):
        return y + model.gamma.scales()[site] * model.delta_at(site)(y if is_sequential else x)

    def acts(block):
        sites = {site.position: site for site in model.sites if site.block == block}
        return {name: partial(added, site) for name, site in sites.items()}

    assert {site.position for site in model.sites} <= {"attn", "ffn"}
    wanted = features_of(backbone, inputs, acts=acts)
    torch.testing.assert_close(model.features(**inputs), wanted, rtol=1e-5, atol=1e-5)
    assert (wanted - backbone.features(inputs)).abs().max() > 1e-3


PADDED = [
    *[
        (name, "fixed")
        for name in ("lora", "prefix", "mh_pa", "vpt_deep", "vpt_shallow", "soft_prompt", "ia3")
    ],
    *[(name, "gated") for name in ("lora", "adapter_parallel", "prefix", "vpt_deep")],
    ("unipelt", "gated"),
]
SHARED = ("lora", "prefix", "adapter_parallel", "mh_pa")


@pytest.mark.parametrize(
    ("kind", "method", "scaling"),
    [
        (kind, *case)
        for kind in [*KINDS, *CAUSAL]
        for case in PADDED
        if kind != "mamba" or case[0] not in NOT_ON_MAMBA
    ],
)
def test_no_method_lets_a_text_depend_on_its_padding(built, kind, method, scaling):
    """Prompts have no padding before them, gates average over the tokens of the text alone."""
    _, model, inputs = built(kind, method, scaling)
    together = model.features(**inputs)
    for row, length in enumerate(LENGTHS):
        alone = model.features(**{name: value[row : row + 1, :length] for name, value in inputs.items()})
        torch.testing.assert_close(together[row : row + 1], alone, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "method"), [*product([*KINDS, *DECODERS], SHARED), ("mamba", "lora"), ("mamba", "ssf")]
)
def test_cells_that_share_a_forward_give_what_they_give_alone(family, recipe, adapt, inputs_of, kind, method):
    """The mask follows the rows of each cell; one joins at the first block, one at the second."""
    backbone = family(kind)
    models = [
        adapt(recipe(method, **{"placement.depth": depth, "seed": seed}), backbone)[0]
        for seed, depth in enumerate(("0-1", "1", "0"))
    ]
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in (value for model in models for value in model.deltas.parameters()):
            value.add_(0.3 * torch.randn(value.shape, generator=rng))
    inputs = inputs_of(backbone, 4)
    together = models[0].network.features([model.cell for model in models], inputs)
    for model, own in zip(models, together, strict=True):
        torch.testing.assert_close(own, model.features(**inputs), rtol=1e-5, atol=1e-5)


def test_room_in_a_mask():
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]], dtype=torch.bool)[:, None, None, :]
    wide = with_room(mask.expand(-1, 1, 3, -1), 1, 2)
    wanted = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]], dtype=torch.bool)
    assert torch.equal(wide, wanted[:, None, None, :].expand(-1, 1, 5, -1))
    assert torch.equal(with_room(mask, 1, 2), wanted[:, None, None, :])
    added = torch.zeros(1, 1, 1, 2).masked_fill(torch.tensor([False, True]), -1e9)
    assert with_room(added, 1, 1).flatten().tolist() == [0.0, 0.0, torch.tensor(-1e9).item()]


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        *product(["bert", "llama", "opt"], ["lora", "adapter_pfeiffer", "prefix", "mh_pa", "soft_prompt"]),
        ("mamba", "lora"),
        ("mamba", "soft_prompt"),
    ],
)
def test_how_strongly_a_site_acts_does_not_depend_on_padding(built, method, kind):
    _, model, inputs = built(kind, method)
    one = {name: value[1:2, : LENGTHS[1]] for name, value in inputs.items()}
    padded = {name: value[1:2] for name, value in inputs.items()}
    alone, wide = model.ratios(**one), model.ratios(**padded)
    for site in model.sites:
        torch.testing.assert_close(wide[site], alone[site], rtol=1e-4, atol=1e-6)


def test_a_prefix_equals_hugging_face_s_where_tokens_have_the_same_positions(hugging_face, built):
    """PEFT adds the length of the prefix to the positions that it is given and, given none, lets tokens begin behind the prefix; it
    leaves out which text of a pair a token is of."""
    length = 3
    backbone, model, inputs = built("bert", "prefix", **{"peft.length": length})
    config = hugging_face.PrefixTuningConfig(
        task_type="FEATURE_EXTRACTION",
        num_virtual_tokens=length,
        num_layers=2,
        token_dim=16,
        num_attention_heads=2,
        num_transformer_submodules=1,
    )
    given = {**inputs, "token_type_ids": torch.zeros_like(inputs["token_type_ids"])}
    positions = torch.arange(inputs["input_ids"].shape[1]).expand(len(LENGTHS), -1)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        wrapped = hugging_face.get_peft_model(copy.deepcopy(backbone.model), config).eval()
        rows = [model.delta_at(Site(block, "kv")).P for block in range(2)]
        flat = torch.cat([vectors for pair in rows for vectors in pair], dim=1)
        wrapped.prompt_encoder["default"].embedding.weight.copy_(flat)
        ours = model.features(**given)

        def theirs(inputs, **more):
            hidden = wrapped(**inputs, **more).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            return (hidden * mask).sum(1) / mask.sum(1)

        found = theirs(given, position_ids=positions - length)
        torch.testing.assert_close(ours, found, rtol=1e-5, atol=3e-6)
        assert (ours - theirs(given)).abs().max() > 0.01, "PEFT no longer moves the tokens"
        assert (ours - model.features(**inputs)).abs().max() > 0.01
        assert torch.equal(theirs(given), theirs(inputs)), "PEFT reads the types now"
