"""The battery: what every method keeps, at every placement, with every scaling, on every family of ViTs, text encoders and decoders."""

from itertools import product
from pathlib import Path

import pytest
import torch
from fixtures.configs import TEMPORAL, TWO_TOWERS
from fixtures.text import ENCODER_DECODERS, NOT_ON_MAMBA, NOT_THERE
from torch.nn import functional as F

from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.site import Site

METHODS = sorted({Path(file).stem for file in (config_dir() / "peft").glob("*.yaml")} - {*TWO_TOWERS})
MASKS = tuple(name for name in METHODS if name.startswith("mask_"))
IN_PLACE = ("bitfit", "full", "layernorm", "linear_probe", "partial", *MASKS)
PROMPTS = ("gated_prompt", "noah", "soft_prompt", "vpt_deep", "vpt_shallow")
# prompts and prefixes change the attention whatever their values are
MOVED = (*PROMPTS, "prefix", "mam", "unipelt", "hlpt", "h2lpt")
CAUSAL = ("llama", "gpt2", "gptj", "gpt_neox", "opt", "mamba")
TEXTS = ("bert", "roberta", "distilbert", *CAUSAL, *ENCODER_DECODERS)
# whose gates stand in an encoder alone: prompts do, and hybrids by the depths below
IN_ENCODER = ("gated_prompt", "soft_prompt", "vpt_deep", "vpt_shallow", "hlpt", "h2lpt")
TOWERS = ("clip_image", "clip_text", "siglip_text")
FAMILIES = ("plain", "dinov2", "clip", "average", "eva02", "swin", *TEXTS, *TOWERS)
SCALINGS = ("fixed", "learned", "meta", "gated")
ONE_OF_EACH = ("lora", "adapter_pfeiffer", "prefix", "vpt_deep", "ssf", "bitfit", "mask_magnitude")
# a site that the method can have on its own
CELL = {
    **dict.fromkeys(("lora", "dylora", "dora", "pissa", "vera"), "0.v"),
    **dict.fromkeys(("bitfit", "full", "ssf"), "0.k"),
    **dict.fromkeys(("ia3", "hlpt"), "0.mlp2"),
    **dict.fromkeys(("prefix", "mh_pa", "mam", "unipelt"), "0.kv"),
    **dict.fromkeys(("vpt_deep", "vpt_shallow", "soft_prompt"), "0.tokens"),
    **dict.fromkeys(("adapter_houlsby", "adapter_parallel", "adapter_pfeiffer"), "0.ffn"),
    **dict.fromkeys(("adapter_scaled_parallel", "adaptformer"), "0.ffn"),
    **dict.fromkeys(("st_adapter", "aim"), "0.norm1"),
}
KEYS: dict = {
    **{name: {"peft.keep_ratio": 0.1, "peft.num_samples": 6} for name in MASKS if name != "mask_random"},
    "mask_random": {"peft.keep_ratio": 0.1},
    # two blocks: LoRA below, a prefix above
    **{name: {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1} for name in ("hlpt", "h2lpt")},
}


def is_case(method, scaling, where, family):
    """Every method x scaling at every place of the plain ViT; on the other families fixed, meta and gated everywhere."""
    if method in IN_PLACE and scaling != "fixed":
        return False
    if family != "plain":
        return where == "all" and scaling != "learned"
    if where == "all":
        return True
    return method in CELL and (scaling == "learned" if where == "last" else scaling in ("fixed", "meta"))


def is_slow(method, scaling, where, family):
    """Beside the plain ViT one method of each kind stands for the others, and its gammas on Swin alone."""
    stands = method in ONE_OF_EACH and (scaling == "fixed" or family == "swin")
    return family != "plain" and not stands


CASES = [
    pytest.param(*case, marks=[pytest.mark.slow] * is_slow(*case))
    for case in product(METHODS, SCALINGS, ("all", "last", "cell"), FAMILIES)
    if is_case(*case)
]


def config_of(recipe, method, scaling, where):
    keys = dict(KEYS.get(method, {}))
    if where == "last" and method not in ("vpt_shallow", "soft_prompt"):
        keys["placement.depth"] = "-1"
    if where == "last":
        keys["scaling.granularity"] = "channel"
    return recipe(method, scaling, {CELL[method]: {}} if where == "cell" else None, **keys)


def is_clean(model):
    return not any(
        "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
        for module in model.modules()
    )


def with_gradient(model):
    return {
        name for name, value in model.cell.named_parameters() if value.grad is not None and value.grad.any()
    }


REFUSED = dict.fromkeys((*PROMPTS, "aim"), "tokens")  # by the Swin family


@pytest.mark.parametrize(("method", "scaling", "where", "family_name"), CASES)
def test_life_of_a_model(inputs_of, recipe, family, adapt, method, scaling, where, family_name):
    backbone = family(family_name)
    if family_name == "swin" and method in REFUSED:
        with pytest.raises(UserError, match=rf"acts at {REFUSED[method]}, which swin.* lacks: "):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    if family_name in (*TEXTS, *TOWERS[1:]) and method in TEMPORAL:
        with pytest.raises(UserError, match=r"^peft: \w+ acts over the frames of clips, and .* reads texts$"):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    if family_name == "swin" and method == "st_adapter":
        with pytest.raises(UserError, match=r"^peft\.insertion=before does not exist at 0\.norm1 of swin"):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    if family_name == "mamba" and method in NOT_ON_MAMBA:
        with pytest.raises(UserError, match=NOT_THERE):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    if family_name in ENCODER_DECODERS and scaling == "gated" and method not in IN_ENCODER:
        with pytest.raises(UserError, match=r"scaling\.per=sample: dec\.0\..* stands in a decoder"):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    if family_name in ("llama", "t5", "mt5") and method == "bitfit":
        with pytest.raises(UserError, match="no module of the chosen sites has a bias"):
            adapt(config_of(recipe, method, scaling, where), backbone)
        return
    inputs, labels = inputs_of(backbone, 6), torch.arange(6) % 3
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    frozen = backbone.features(inputs)
    model, scaled = adapt(config_of(recipe, method, scaling, where), backbone)

    moves = method in MOVED and not (where == "cell" and method == "hlpt")  # its cell is a LoRA
    for mode in (True, False):
        with (
            torch.no_grad()
        ):  # a relative position that is trained makes torch choose another attention kernel
            is_same = torch.equal(model.train(mode).features(**inputs), frozen)
        assert is_same != moves, "not the identity at the start"
    assert model.cell.is_identity != moves
    check_owners(model, scaling)

    model.train()
    theta = model.theta()
    optimizers = [torch.optim.AdamW(theta.values(), lr=0.01, weight_decay=0.1)]
    optimizers += [scaled.optimizer] if scaled.optimizer is not None else []
    learns = set(theta) | ({"gamma.raw"} if scaling == "learned" else set())
    for step in range(3):
        F.cross_entropy(model(**inputs), labels).backward()
        learns -= with_gradient(model)
        learns -= {
            f"selected.{key}" for key in model.cell.selected.of_tables()
        }  # rows of tokens that stand elsewhere
        assert step == 0 or not learns, f"no gradient within 2 steps: {learns}"
        assert all(value.grad is None for value in model.backbone.parameters())
        assert scaling != "meta" or model.gamma.raw.grad is None
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert torch.equal(model.features(**inputs), frozen) == (method == "linear_probe")
    after = backbone.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items()), "the backbone has moved"

    if method not in IN_PLACE:
        check_gamma_acts(model, inputs)
        assert scaling != "gated" or model.num_parameters()["gate"] > 0
    assert torch.equal(backbone.features(inputs), frozen)
    assert is_clean(backbone.model)


def check_owners(model, scaling):
    """theta and gamma share nothing, the backbone is in neither, and together they are what trains."""
    theta = {id(value) for value in model.theta().values()}
    gamma = {id(value) for value in model.gamma.parameters()}
    assert not theta & gamma
    assert not theta & {id(value) for value in model.backbone.parameters()}
    trains = {id(value) for value in model.parameters() if value.requires_grad}
    assert trains == theta | (gamma if scaling == "learned" else set())
    assert bool(gamma) == (scaling in ("learned", "meta"))
    numbers = model.num_parameters()
    owned = sum(numbers[name] for name in ("delta", "gate", "selected", "head"))
    assert owned == sum(value.numel() for value in model.theta().values())


@torch.no_grad()
def check_gamma_acts(model, inputs):
    for mode in (True, False):
        model.train(mode)
        torch.manual_seed(0)  # of dropout
        logits = model(**inputs)
        value = model.gamma.multiplier if model.gamma.raw is None else model.gamma.raw
        model.gamma.ones = frozenset()  # of a gamma that is 1 for good
        value.mul_(1.5)
        torch.manual_seed(0)
        assert not torch.equal(model(**inputs), logits), f"gamma does not act, training={mode}"
        value.div_(1.5)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in MASKS])
def test_head_of_zeros_needs_one_more_step(inputs_of, recipe, family, adapt, method):
    backbone = family("plain")
    head = {"_target_": "peftlab.head.linear.Linear", "init": "zeros"}
    model, _ = adapt(recipe(method, head=head, **KEYS.get(method, {})), backbone)
    inputs, labels = inputs_of(backbone, 6), torch.arange(6) % 3
    theta, learned = model.theta(), []
    for _ in range(3):
        model.zero_grad()
        F.cross_entropy(model(**inputs), labels).backward()
        learned.append(with_gradient(model))
        with torch.no_grad():
            for value in theta.values():
                if value.grad is not None:
                    value.sub_(value.grad)
    assert learned[0] == {"head.weight", "head.bias"}
    assert learned[2] == set(theta)


@pytest.mark.parametrize(("position", "third"), [("q", 0), ("k", 1), ("v", 2)])
@pytest.mark.parametrize("method", ["lora", "bitfit", "full"])
@pytest.mark.parametrize("measured", [False, True])
def test_a_part_of_the_fused_qkv_touches_its_own_rows_only(
    inputs_of, recipe, family, adapt, method, position, third, measured
):
    backbone = family("plain")
    qkv, tokens = backbone.model.blocks[0].attn.qkv, torch.randn(2, 5, 16)
    frozen = qkv(tokens)
    model, _ = adapt(recipe(method, cells={f"0.{position}": {}}), backbone)
    selected = {name: value for name, value in model.theta().items() if "blocks_" in name}
    with torch.no_grad():
        for value in [*selected.values(), *model.deltas.parameters()]:
            value.add_(1.0)
    seen = {}
    handle = qkv.register_forward_hook(lambda module, args, output: seen.update(read=args[0], write=output))
    (model.ratios if measured else model.features)(**inputs_of(backbone, 6))
    handle.remove()
    frozen = qkv(seen["read"])
    thirds = zip(seen["write"].chunk(3, -1), frozen.chunk(3, -1), strict=True)
    assert [torch.equal(ours, theirs) for ours, theirs in thirds] == [index != third for index in range(3)]


DRAWN = [
    name
    for name in CELL
    if name not in (*IN_PLACE, "vpt_shallow", "soft_prompt", "ssf", "ia3", "hlpt", "pissa", "vera")
]


@pytest.mark.parametrize("method", DRAWN)
def test_paired_runs_share_the_start_of_every_site(recipe, family, adapt, method):
    """The placement changes neither a site's initial delta nor the head's."""
    backbone = family("plain")
    position = CELL[method].partition(".")[2]
    starts = []
    for cells in (None, {f"0-1.{position}": {}}, {f"1.{position}": {}}):
        model, _ = adapt(recipe(method, "fixed", cells), backbone)
        starts.append((dict(model.deltas[f"1_{position}"].named_parameters()), model.head.weight))
    for delta, head in starts[1:]:
        assert torch.equal(head, starts[0][1])
        assert all(torch.equal(delta[name], value) for name, value in starts[0][0].items())
    other, _ = adapt(recipe(method, "fixed", {f"1.{position}": {}}, seed=1), backbone)
    name, value = next((name, value) for name, value in starts[0][0].items() if value.std() > 0)
    assert not torch.equal(dict(other.deltas[f"1_{position}"].named_parameters())[name], value)


def test_two_sites_of_one_run_start_differently(recipe, family, adapt):
    model, _ = adapt(recipe("lora"), family("plain"))
    values = {tuple(delta.A.flatten()[:4].tolist()) for delta in model.deltas.values()}
    assert len(values) == 12


def test_blocks_below_the_first_site_keep_no_graph(inputs_of, recipe, family, adapt):
    backbone = family("plain")
    model, _ = adapt(recipe("lora", cells={"1.mlp1": {}}), backbone)
    outputs = []
    for block in backbone.model.blocks:
        block.register_forward_hook(lambda module, args, output: outputs.append(output.requires_grad))
    model(**inputs_of(backbone, 6))
    for block in backbone.model.blocks:
        block._forward_hooks.clear()
    assert outputs == [False, True]


def test_every_family_is_a_different_network(family):
    """The battery would prove less if a family's options were silently dropped."""
    blocks = {
        name: family(name).model.blocks[0] for name in FAMILIES if name not in ("swin", *TEXTS, *TOWERS)
    }
    assert type(blocks["dinov2"].ls1).__name__ == "LayerScale"
    assert type(blocks["dinov2"].attn.q_norm).__name__ == "LayerNorm"
    assert type(blocks["clip"].mlp.act).__name__ == "QuickGELU"
    assert type(family("clip").model.norm_pre).__name__ == "LayerNorm"
    assert family("average").model.global_pool == "avg"
    assert type(blocks["eva02"].mlp).__name__ == "SwiGLU"
    assert type(blocks["eva02"].attn.q_proj).__name__ == "Linear"
    assert family("swin").labels == ("0.0", "1.0")
    assert family("swin").place(Site(0, "q")).num_in < family("swin").place(Site(1, "q")).num_in
    assert {family(name).depth for name in FAMILIES if name not in ENCODER_DECODERS} == {2}
