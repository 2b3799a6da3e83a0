"""What every form of the YAMLs promises by its interface, its flags and its traits, asked of a small one of each."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from fixtures.configs import CLASS_TEXTS
from torch.nn import functional as F

import peftlab.peft
from peftlab.config.directory import config_dir
from peftlab.config.resolve import parts_of
from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.peft.delta import (
    Additive,
    Delta,
    Dense,
    Diagonal,
    Elastic,
    LowRank,
    Nested,
    OfWeight,
    OnHeads,
    OnTokens,
    Reparametrised,
    Sharing,
    Temporal,
)
from peftlab.peft.part import Hybrid
from peftlab.peft.selection import Selection
from peftlab.peft.view import View

INTERFACES = {Additive, OnHeads, OnTokens}
TRAITS = {Elastic, Nested, Reparametrised, LowRank, Dense, Diagonal, OfWeight, Sharing, Temporal}
# what acts around the names of classes: what it promises is asked in files of its own
BESIDE = ("context", *CLASS_TEXTS)
PACKAGE = Path(next(iter(peftlab.peft.__path__)))
NUM_IN, NUM_OUT, HEADS = 6, 4, 2
SMALL = {"rank": 3, "length": 3, "bottleneck": 3, "num_tokens": 3}


def concrete():
    """Every form in the package, by name."""
    found = {}
    for path in (path for path in sorted(PACKAGE.glob("[!_]*.py")) if path.stem not in BESIDE):
        module = import_module(f"peftlab.peft.{path.stem}")
        for name, kind in vars(module).items():
            own = inspect.isclass(kind) and kind.__module__ == module.__name__
            if own and issubclass(kind, Delta) and kind not in {Delta, *INTERFACES, Temporal}:
                found[name] = kind
    return found


FORMS = concrete()
# the method that a form is taken from, where it is not that of its file
METHOD = {
    "Adapter": "adaptformer",
    "FramePosition": "aim",
    "Prompt": "vpt_deep",
    "PromptGate": "gated_prompt",
    "Temperature": "gated_prompt",
}


@pytest.fixture
def part_of(recipe):
    """A part of this form, from the YAML of a method."""

    def find(name):
        method = METHOD.get(name, FORMS[name].__module__.rpartition(".")[2])
        return next(part for part in parts_of(recipe(method)["peft"]) if part.form.function is FORMS[name])

    return find


@pytest.fixture
def make(part_of):
    """`make("Lora", rank=2)`: a form with the options of its YAML, small."""

    def form(name, **more):
        kind, options = FORMS[name], dict(part_of(name).form.options)
        options |= {key: value for key, value in SMALL.items() if key in options} | more
        num_in = NUM_OUT if issubclass(kind, (Diagonal, OnTokens, Temporal)) else NUM_IN
        rng = torch.Generator().manual_seed(0)
        given = (num_in, NUM_OUT, HEADS, torch.randn(NUM_OUT, num_in, generator=rng))
        shared = None
        if issubclass(kind, Sharing):
            shared = kind.share([View(*given)], rng, width=options[kind.width_key])
        return kind(View(*given, shared), rng, **options)

    return form


def random(delta):
    """Away from its start, in float64."""
    delta.double()
    with torch.no_grad():
        for value in delta.parameters():
            value.copy_(torch.randn(value.shape))
    return delta


def reads_of(delta, num=5, dtype=torch.float64):
    frames = (4,) if isinstance(delta, Temporal) else ()
    return torch.randn(
        2, *frames, num, NUM_OUT if isinstance(delta, (Diagonal, Temporal)) else NUM_IN, dtype=dtype
    )


def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def heads(dtype=torch.float64):
    return [torch.randn(2, HEADS, 5, NUM_OUT // HEADS, dtype=dtype) for _ in range(3)]


def names(kind):
    return sorted(name for name, form in FORMS.items() if issubclass(form, kind))


def test_every_form_can_be_chosen():
    """And what the YAMLs name beside them are selections and sums of parts."""
    texts = [path.read_text() for path in (config_dir() / "peft").glob("*.yaml")]
    targets = {target for text in texts for target in re.findall(r"^ *_target_: (\S+)$", text, re.MULTILINE)}
    found = {Choice(target, {}).function for target in targets if target.split(".")[-2] not in BESIDE}
    assert {kind for kind in found if issubclass(kind, Delta)} == set(FORMS.values())
    assert all(issubclass(kind, (Delta, Selection, Hybrid)) for kind in found)
    assert not any(issubclass(kind, Delta) and issubclass(kind, Selection) for kind in found)


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_form_acts_in_exactly_one_way_and_trains_something(make, name):
    kind = FORMS[name]
    assert len([parent for parent in INTERFACES if issubclass(kind, parent)]) == 1
    assert set(kind.__bases__) <= INTERFACES | TRAITS, "what a form is stands in the line of its class"
    delta = make(name)
    assert any(value.requires_grad for value in delta.parameters())
    assert not any(value.requires_grad for value in delta.buffers())


@pytest.mark.parametrize("name", sorted(FORMS))
def test_its_width_is_what_its_option_says(make, name):
    key = FORMS[name].width_key
    if key is None:
        assert make(name).width == 1
    else:
        assert make(name).width == 3
        assert make(name, **{key: 2}).width == 2


@pytest.mark.parametrize("name", names(Additive))
def test_what_is_added_is_nothing_at_the_start_where_it_says_so(make, name):
    delta = make(name)
    read = reads_of(delta, dtype=torch.float32)
    added = delta(read)
    assert added.shape == (*read.shape[:-1], NUM_OUT)
    assert (not added.any()) == delta.is_identity
    delta = random(delta)
    assert delta(reads_of(delta)).any()


@pytest.mark.parametrize("name", names(OnHeads))
def test_the_heads_are_the_attention_s_own_at_the_start_where_it_says_so(make, name):
    delta, qkv = make(name), heads(torch.float32)
    found = delta(attend, *qkv, None, None)
    assert found.shape == qkv[0].shape
    assert torch.equal(found, attend(*qkv)) == delta.is_identity


@pytest.mark.parametrize("name", names(OnTokens))
def test_what_puts_prompts_says_how_many(make, name):
    delta = make(name).double()
    before = torch.randn(2, 5, NUM_OUT, dtype=torch.float64)
    entering = delta(before, before, None, None)
    assert entering.shape[-2:] == (delta.num_prompts(5), NUM_OUT)
    assert not delta.per_token, "all tokens share the prompts"


@pytest.mark.parametrize("name", [name for name in names((Additive, OnHeads)) if FORMS[name].per_token])
def test_what_a_token_gets_depends_on_that_token_alone_where_it_says_so(make, name):
    """Among the heads: on its own query, whatever the keys and values are."""
    delta = random(make(name))
    if isinstance(delta, Additive):
        read = reads_of(delta)
        torch.testing.assert_close(delta(read[..., 3:4, :]), delta(read)[..., 3:4, :])
    else:
        q, k, v = heads()
        one = delta(attend, q[:, :, 3:4], k, v, None, None)
        torch.testing.assert_close(one, delta(attend, q, k, v, None, None)[:, :, 3:4])


@pytest.mark.parametrize("name", names(LowRank))
def test_low_rank_factors_are_the_delta(make, name):
    delta = random(make(name))
    B, A = delta.factors()
    read = reads_of(delta)
    torch.testing.assert_close(delta(read), read @ (B @ A).T)


@pytest.mark.parametrize("name", names(Dense))
def test_a_dense_matrix_is_the_delta(make, name):
    delta = random(make(name))
    read = reads_of(delta)
    torch.testing.assert_close(delta(read), read @ delta.matrix().T)


@pytest.mark.parametrize("name", names(Diagonal))
def test_a_diagonal_is_the_delta(make, name):
    delta = random(make(name))
    read, (s, t) = reads_of(delta), delta.diagonal()
    torch.testing.assert_close(delta(read), s * read + (0 if t is None else t))


@pytest.mark.parametrize("name", names(Elastic))
@pytest.mark.parametrize("width", [1, 2, 3])
def test_what_an_elastic_form_uses_has_the_names_and_shapes_of_a_narrower_one(make, name, width):
    wide, narrow = random(make(name)), make(name, **{FORMS[name].width_key: width})
    used = wide.used(width)
    assert {key: value.shape for key, value in used.items()} == {
        key: value.shape for key, value in narrow.named_parameters()
    }
    if width == wide.width:
        assert all(torch.equal(used[key], value) for key, value in wide.named_parameters())


@pytest.mark.parametrize("name", names(Nested))
def test_a_nested_form_draws_every_width_alike(make, name):
    delta = make(name)
    drawn = [delta.sample(u / 30) for u in range(30)]
    assert drawn == [1] * 10 + [2] * 10 + [3] * 10


@pytest.mark.parametrize(("name", "options"), [("Prefix", {"mlp": 5})])
def test_a_finished_form_computes_the_same(make, name, options):
    assert names(Reparametrised) == ["Prefix"], "then the others belong here too"
    trained = random(make(name, **options))
    after = make(name, **{**options, **FORMS[name].after_training})
    after.double().load_state_dict(trained.finished())
    qkv = heads()
    torch.testing.assert_close(after(attend, *qkv, None, None), trained(attend, *qkv, None, None))


@pytest.mark.parametrize("name", names(OfWeight))
def test_a_form_made_from_a_weight_stands_beside_a_layer(part_of, name):
    assert part_of(name).insertion == "parallel"
    with pytest.raises(UserError, match="its form is made from the weight of a linear layer"):
        FORMS[name](View(NUM_IN, NUM_OUT), torch.Generator(), **part_of(name).form.options)


def test_an_interface_or_trait_alone_is_no_form():
    for kind in INTERFACES | TRAITS - {OfWeight}:
        with pytest.raises(TypeError, match="abstract"):
            kind()
