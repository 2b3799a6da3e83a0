"""What one run trains: its state and the way back, who owns what, and what a step works at."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.delta import Reparametrised
from peftlab.site import Site

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
CASES = [
    ("lora", "fixed"),
    ("lora", "meta"),
    ("dylora", "gated"),
    ("prefix", "learned"),
    ("unipelt", "gated"),
    ("gated_prompt", "meta"),
    ("bitfit", "fixed"),
    ("mask_random", "fixed"),
    ("linear_probe", "fixed"),
]
KEYS = {"mask_random": {"peft.keep_ratio": 0.2}}


@pytest.fixture
def make(recipe, family, adapt):
    return lambda method, scaling="fixed", **keys: adapt(
        recipe(method, scaling, **KEYS.get(method, {}), **keys), family("plain")
    )[0].eval()


def randomise(cell):
    with torch.no_grad():
        for value in [*cell.theta().values(), *cell.gamma.parameters()]:
            value.copy_(0.3 * torch.randn(value.shape))


@pytest.mark.parametrize(("method", "scaling"), CASES)
def test_state_is_all_that_is_trained_and_comes_back(make, method, scaling):
    one, other = make(method, scaling), make(method, scaling)
    randomise(one.cell)
    state = {name: value.clone() for name, value in one.cell.state().items()}
    trained = {f"selected.{key}" for key, _ in one.cell.selected.named_parameters()}
    gamma = set() if one.gamma.raw is None else {"gamma.raw"}
    masks = {f"index.{key}" for key in one.cell.selected.indices()}
    assert state.keys() == one.cell.theta().keys() | gamma | masks
    assert trained <= state.keys()
    assert not any(value.requires_grad for value in one.cell.state().values())
    owners = [id(value) for value in other.cell.parameters()]
    other.cell.load_state(state)
    assert [id(value) for value in other.cell.parameters()] == owners, "an optimizer would lose them"
    assert torch.equal(other(IMAGES), one(IMAGES))
    again = other.cell.state()
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], value) for name, value in state.items())
    with torch.no_grad():
        one.cell.head.weight.add_(1.0)
    assert not torch.equal(other(IMAGES), one(IMAGES)), "they share tensors"


def test_the_finished_state_has_a_prefix_without_its_mlp(make):
    model = make("prefix", "learned", **{"peft.mlp": 7})
    randomise(model.cell)
    state, finished = model.cell.state(), model.cell.state(finished=True)
    assert {name for name in finished if name.startswith("deltas")} == {"deltas.0_kv.P", "deltas.1_kv.P"}
    for site in model.sites:
        delta = model.delta_at(site)
        assert isinstance(delta, Reparametrised)
        assert torch.equal(finished[f"deltas.{site.block}_kv.P"], delta.vectors())
    others = {name for name in state if not name.startswith("deltas")}
    assert others == {name for name in finished if not name.startswith("deltas")}
    plain = make("prefix", "learned", **{"peft.mlp": None})
    plain.cell.load_state(finished)
    assert torch.equal(plain(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    ("method", "scaling", "edit", "words"),
    [
        (
            "lora",
            "fixed",
            lambda s: s.pop("deltas.0_q.A"),
            r"missing \['deltas.0_q.A'\], not in the model \[\]",
        ),
        ("lora", "meta", lambda s: s.pop("gamma.raw"), r"missing \['gamma.raw'\]"),
        (
            "lora",
            "fixed",
            lambda s: s.update({"gamma.raw": torch.zeros(12)}),
            r"not in the model \['gamma.raw'\]",
        ),
        (
            "lora",
            "fixed",
            lambda s: s.update(extra=torch.zeros(1)),
            r"missing \[\], not in the model \['extra'\]",
        ),
        (
            "lora",
            "fixed",
            lambda s: s.update({"deltas.0_q.A": torch.zeros(2, 16)}),
            r"the saved deltas.0_q.A has shape \(2, 16\), the model's has \(8, 16\)",
        ),
        (
            "lora",
            "meta",
            lambda s: s.update({"gamma.raw": torch.zeros(())}),
            r"the saved gamma.raw has shape \(\), the model's has \(12,\)",
        ),
    ],
)
def test_a_state_of_something_else_is_refused(make, method, scaling, edit, words):
    model = make(method, scaling)
    state = {name: value.clone() for name, value in model.cell.state().items()}
    edit(state)
    before = {name: value.clone() for name, value in model.cell.state().items()}
    with pytest.raises(UserError, match=words):
        model.cell.load_state(state)
    assert all(torch.equal(value, before[name]) for name, value in model.cell.state().items())


def test_another_mask_is_refused(make):
    model = make("mask_random")
    state = {name: value.clone() for name, value in model.cell.state().items()}
    name = next(name for name in state if name.startswith("index."))
    state[name] = state[name].flip(0) if len(state[name]) > 1 else state[name] + 1
    with pytest.raises(UserError, match=rf"^the saved {name} is another mask than the model's"):
        model.cell.load_state(state)


def test_a_refused_state_changes_nothing(make):
    """Also if the first tensors fit."""
    model, other = make("lora"), make("lora")
    randomise(other.cell)
    state = {name: value.clone() for name, value in other.cell.state().items()}
    state["head.weight"] = torch.zeros(4, 16)
    before = {name: value.clone() for name, value in model.cell.state().items()}
    with pytest.raises(UserError, match=r"head\.weight has shape"):
        model.cell.load_state(state)
    assert all(torch.equal(value, before[name]) for name, value in model.cell.state().items())


@pytest.mark.parametrize(("method", "scaling"), CASES)
def test_theta_and_gamma_have_different_owners(make, method, scaling):
    cell = make(method, scaling).cell
    theta = {id(value) for value in cell.theta().values()}
    gamma = {id(value) for value in cell.gamma.parameters()}
    assert not theta & gamma
    assert theta | gamma == {id(value) for value in cell.parameters()}
    kinds = cell.theta_by_kind()
    assert kinds.keys() == {"weights", "gates", "selected"}
    listed = [id(value) for values in kinds.values() for value in values]
    assert len(listed) == len(set(listed))
    assert set(listed) == theta
    numbers = cell.num_parameters()
    assert sum(numbers.values()) == sum(value.numel() for value in cell.parameters())
    assert numbers["selected"] == sum(value.numel() for value in kinds["selected"])


def test_kinds_are_what_they_say(make):
    """Gates of sites, gates and temperatures of prompts, and weights of the backbone each decay as they should."""
    gated = make("lora", "gated").cell
    gates = {id(value) for value in gated.gates.parameters()}
    assert gates
    assert {id(value) for value in gated.theta_by_kind()["gates"]} == gates
    prompts = make("gated_prompt").cell
    names = {id(value): name for name, value in prompts.named_parameters()}
    assert {names[id(value)].split(".")[-1] for value in prompts.theta_by_kind()["gates"]} == {"raw", "tau"}
    bias = make("bitfit").cell
    assert {id(value) for value in bias.theta_by_kind()["selected"]} == {
        id(value) for value in bias.selected.parameters()
    }


def test_a_cell_holds_nothing_of_the_backbone(make):
    model = make("lora", "meta")
    frozen = {id(value) for value in model.backbone.parameters()}
    assert not frozen & {id(value) for value in model.cell.parameters()}
    assert not any(value.data_ptr() in {own.data_ptr() for own in model.backbone.parameters()}
                   for value in make("full").cell.parameters())  # fmt: skip


def test_widths_of_a_step_are_those_of_its_stream(make):
    cell = make("dylora", cells={"0.q": {}, "1.mlp1": {"rank": 2}}).cell
    widths = [cell.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1, 2, 3)]
    assert widths[0] == widths[1]
    assert len({tuple(own.values()) for own in widths}) > 1
    assert cell.nested_width == 8
    assert cell.at(5) == {Site(0, "q"): 5, Site(1, "mlp1"): 2}
    assert make("lora").cell.sample(torch.Generator()) == {}
    assert make("lora").cell.nested_width == 0


@pytest.mark.parametrize(
    ("method", "expected"), [("lora", True), ("ssf", True), ("prefix", False), ("mam", False)]
)
def test_identity_at_the_start_is_that_of_all_its_methods(make, family, method, expected):
    model = make(method)
    assert model.cell.is_identity == expected
    same = torch.equal(model.features(IMAGES), family("plain").model(IMAGES))
    assert same == expected
