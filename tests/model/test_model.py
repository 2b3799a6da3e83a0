"""A network with one cell as a module of torch."""

import pytest
import torch

from peftlab.site import Site

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make(recipe, family, adapt):
    def build(method, scaling="fixed", **keys):
        model, _ = adapt(recipe(method, scaling, **keys), family("plain"))
        with torch.no_grad():
            for value in [*model.theta().values(), *model.gamma.parameters()]:
                value.copy_(0.3 * torch.randn(value.shape))
        return model.eval()

    return build


def test_it_is_the_head_of_the_features_whatever_the_input_is_called(make):
    model = make("lora", "meta")
    assert torch.equal(model(IMAGES), model.head(model.features(IMAGES)))
    assert torch.equal(model(images=IMAGES), model(IMAGES))
    assert torch.equal(model.features(images=IMAGES), model.features(IMAGES))


def test_what_people_ask_for_is_the_cell_s(make):
    model = make("lora", "meta")
    cell = model.cell
    assert model.gamma is cell.gamma
    assert model.head is cell.head
    assert model.deltas is cell.deltas
    assert model.sites == cell.sites
    assert model.delta_at(Site(1, "v")) is cell.deltas["1_v"]
    assert model.theta().keys() == cell.theta().keys()
    assert all(value is cell.theta()[name] for name, value in model.theta().items())
    assert model.state().keys() == cell.state().keys()
    frozen = sum(value.numel() for value in model.backbone.parameters())
    assert model.num_parameters() == {**cell.num_parameters(), "backbone": frozen}


@pytest.mark.parametrize(("scaling", "gamma"), [("learned", ["gamma.raw"]), ("meta", []), ("fixed", [])])
def test_only_what_the_cell_has_takes_gradients_and_a_gamma_of_the_outer_loop_none(make, scaling, gamma):
    model = make("lora", scaling)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained == {f"cell.{name}" for name in [*model.theta(), *gamma]}


def test_train_and_eval_are_of_the_cell_alone(make):
    model = make("adaptformer")
    modes = [module.training for module in model.backbone.modules()]
    for mode in (True, False):
        assert model.train(mode) is model
        assert model.training == model.cell.training == mode
        assert all(module.training == mode for module in model.cell.modules())
        assert [module.training for module in model.backbone.modules()] == modes


def test_widths_of_a_nested_method(make):
    model = make("dylora", cells={"0.q": {}, "1.mlp1": {"rank": 2}})
    whole = model(IMAGES)
    model.at(8)
    assert torch.equal(model(IMAGES), whole)
    model.at(1)
    assert model.widths == {Site(0, "q"): 1, Site(1, "mlp1"): 1}
    one = model(IMAGES)
    assert not torch.allclose(one, whole)
    assert torch.equal(model.head(model.features(IMAGES)), one)
    model.use({})
    assert torch.equal(model(IMAGES), whole)


def test_ratios_are_of_what_is_added_and_what_was_there(make):
    model = make("lora", "meta", cells={"0.mlp1": {}})
    layer, seen = model.backbone.blocks[0].mlp.fc1, {}
    hook = layer.register_forward_hook(lambda _, args, output: seen.update(read=args[0], write=output))
    ratios = model.ratios(IMAGES)
    hook.remove()
    frozen = layer(seen["read"])
    expected = (seen["write"] - frozen).norm() / frozen.norm()
    assert ratios.keys() == {Site(0, "mlp1")}
    torch.testing.assert_close(ratios[Site(0, "mlp1")], expected.detach(), rtol=1e-4, atol=1e-6)
    assert not ratios[Site(0, "mlp1")].requires_grad
