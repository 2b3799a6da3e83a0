"""The sums of parts: what the YAMLs of the hybrids amount to on ViT-B/16."""

import pytest

from peftlab.config.resolve import parts_of


def test_a_method_is_its_only_part_and_a_hybrid_has_several(recipe):
    lora, mam = recipe("lora")["peft"], recipe("mam")["peft"]
    (only,) = parts_of(lora)
    assert (only.name, only.path) == ("peft", "peft")
    assert [(part.name, part.path) for part in parts_of(mam)] == [
        ("prefix", "peft.parts.prefix"),
        ("adapter", "peft.parts.adapter"),
    ]


@pytest.mark.parametrize("method", ["lora", "prefix", "bitfit", "mask_fisher", "adaptformer"])
def test_a_part_holds_all_that_its_node_says(recipe, method):
    node = recipe(method)["peft"]
    (part,) = parts_of(node)
    own = {key: getattr(part, key) for key in ("depth", "insertion", "scale") if key in node}
    assert {
        "_target_": part.form.target,
        "positions": list(part.positions),
        **part.form.options,
        **own,
    } == node


@pytest.mark.parametrize(
    ("method", "key", "traits"),
    [
        ("lora", "rank", {"Delta", "Additive", "Elastic", "LowRank"}),
        ("dylora", "rank", {"Delta", "Nested", "LowRank"}),
        ("prefix", "length", {"Delta", "OnHeads", "Reparametrised"}),
        ("mask_heads", "keep_ratio", {"Selection", "Mask"}),
        ("ssf", None, {"Delta", "Diagonal"}),
        ("bitfit", None, {"Selection"}),
    ],
)
def test_its_traits_and_its_width_are_those_of_its_class(recipe, method, key, traits):
    """Read from the source, without importing torch; the class itself is the oracle."""
    (part,) = parts_of(recipe(method)["peft"])
    names = {parent.__name__ for parent in part.form.function.__mro__}
    assert part.traits >= traits
    assert part.traits <= names
    assert part.width_key == key == part.form.function.width_key
    assert part.is_selection == ("Selection" in names)
    assert part.is_mask == ("Mask" in names)


SMALL_MAM = {"peft.parts.prefix.length": 16, "peft.parts.adapter.bottleneck": 16}


@pytest.mark.parametrize(
    ("method", "scaling", "keys", "count"),
    [
        ("mam", "fixed", {}, 10_005_504),
        ("mam", "fixed", SMALL_MAM, 599_232),
        ("unipelt", "gated", {}, 1_410_672),
        ("gated_prompt", "fixed", {}, 76_823),
        # LoRA r = 8 on mlp2 of nine blocks, prefix 10 in three, a gate of 3072 and of 768 inputs at each
        ("hlpt", "gated", {}, 9 * 8 * (3072 + 768) + 3 * 10 * 2 * 768 + 9 * 3073 + 3 * 769),
        ("h2lpt", "gated", {}, 5 * 8 * (3072 + 768) + 1 * 10 * 2 * 768 + 5 * 3073 + 1 * 769),
    ],
)
def test_counts_on_vit_base(recipe, vit_base, adapt, method, scaling, keys, count):
    """methods.md 2.7, 2.12, 2.14, 2.16."""
    model, _ = adapt(recipe(method, scaling, **keys), vit_base)
    numbers = model.num_parameters()
    assert numbers["delta"] + numbers["gate"] == count


def test_the_published_scale_of_each_part(recipe, family, adapt):
    """MAM: the adapter's s = 4 is its own, and the prefix has none."""
    model, _ = adapt(recipe("mam"), family("plain"))
    scales = {str(site): scale.item() for site, scale in model.gamma.scales().items()}
    assert scales == {"0.ffn": 4.0, "0.kv": 1.0, "1.ffn": 4.0, "1.kv": 1.0}


def test_gates_and_temperatures_of_prompts_stand_outside_gamma(recipe, family, adapt):
    model, _ = adapt(recipe("gated_prompt", "meta"), family("plain"))
    assert [str(site) for site in model.gamma.sites] == ["0.tokens"]
    assert [str(site) for site in model.sites] == ["0.kv", "0.tokens", "1.kv", "1.tokens"]


@pytest.mark.parametrize("bottom", [25.0, 50.0, 75.0])
def test_the_cut_of_hlpt_is_one_key(composed, vit_base, adapt, bottom):
    """LoRA below, a prefix above, no block without and none with both."""
    config = composed("peft=hlpt", f"peft.cuts.bottom={bottom}", "head.init=random")
    model, _ = adapt(config, vit_base)
    cut = round(12 * bottom / 100)
    expected = [f"{block}.{'mlp2' if block < cut else 'kv'}" for block in range(12)]
    assert [str(site) for site in model.sites] == expected


def test_h2lpt_leaves_the_middle_half_frozen(composed, vit_base, adapt):
    model, _ = adapt(composed("peft=h2lpt", "head.init=random"), vit_base)
    assert [str(site) for site in model.sites] == [*(f"{block}.mlp2" for block in range(5)), "11.kv"]
