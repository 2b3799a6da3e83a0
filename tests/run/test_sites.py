"""What is said of every site: its gamma, its fixed factor, and how much it adds."""

import math

import pytest
import torch
from fixtures.answered import stirred
from fixtures.text import text_inputs

from peftlab.run.sites import gamma_rows, gate_rows, site_rows
from peftlab.site import Site

IMAGES = {"images": torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))}


@pytest.fixture
def make(recipe, family, adapt):
    def build(scaling, **keys):
        cells = {"0.q": {"rank": 2, "scale": 3.0}, "1.mlp1": {}}
        model, _ = adapt(recipe("lora", scaling, cells=cells, **keys), family("plain"))
        with torch.no_grad():
            for delta in model.deltas.values():
                delta.B.normal_(generator=torch.Generator().manual_seed(0))
        return model

    return build


def test_sites_have_their_width_and_their_fixed_factor(make):
    rows = site_rows(make("fixed", **{"scaling.value": 2.0}).cell)
    assert rows == [
        {"block": 0, "position": "q", "width": 2, "multiplier": 6.0},
        {"block": 1, "position": "mlp1", "width": 8, "multiplier": 2.0},
    ]


def test_a_site_outside_of_scaling_has_the_factor_1(recipe, family, adapt):
    model, _ = adapt(recipe("gated_prompt"), family("plain"))
    rows = {(row["block"], row["position"]): row["multiplier"] for row in site_rows(model.cell)}
    assert rows.keys() == {(site.block, site.position) for site in model.sites}
    assert set(rows.values()) == {1.0}


def test_effective_is_gamma_times_the_multiplier_and_the_ratio_is_the_model_s(make):
    model = make("learned", **{"scaling.value": 2.0, "scaling.init": 0.5})
    rows = {row["site"]: row for row in gamma_rows(model.network, model.cell, IMAGES)}
    ratios = model.ratios(**IMAGES)
    assert list(rows) == ["0.q", "1.mlp1"]
    for name, factor in (("0.q", 6.0), ("1.mlp1", 2.0)):
        row = rows[name]
        assert row["gamma"] == pytest.approx(0.5)
        assert (row["multiplier"], row["effective"]) == (factor, pytest.approx(0.5 * factor))
        assert row["ratio"] == ratios[Site(row["block"], row["position"])].item() > 0


def test_a_gamma_per_channel_is_its_mean(make):
    model = make("learned", **{"scaling.granularity": "channel"})
    with torch.no_grad():
        model.gamma.raw.normal_(generator=torch.Generator().manual_seed(0))
    rows = gamma_rows(model.network, model.cell, IMAGES)
    scales = model.gamma.scales()
    assert [row["effective"] for row in rows] == [scale.mean().item() for scale in scales.values()]


def test_gamma_of_a_site_whose_factor_is_0_is_no_number(make):
    """scaling=fixed takes an alpha of 0."""
    off = make("fixed", **{"scaling.value": 0.0})
    rows = gamma_rows(off.network, off.cell, IMAGES)
    assert all(math.isnan(row["gamma"]) and row["effective"] == row["ratio"] == 0 for row in rows)


def test_a_row_per_site_with_gamma_its_multiplier_and_their_product(recipe, family, adapt):
    config = recipe("lora", "learned", **{"scaling.value": 3.0, "peft.rank": 2})
    model, _ = adapt(config, family("plain"))
    with torch.no_grad():
        for value in [*model.theta().values(), *model.gamma.parameters()]:
            value.copy_(torch.randn(value.shape))
    model.eval()
    inputs = {"images": torch.randn(4, 3, 32, 32)}
    rows = gamma_rows(model.network, model.cell, inputs)
    scales = {str(site): scale.item() for site, scale in model.gamma.scales().items()}
    assert {row["site"]: row["effective"] for row in rows} == scales
    for row in rows:
        assert row["multiplier"] == 3.0
        assert row["gamma"] * 3.0 == pytest.approx(row["effective"])
        assert row["site"] == f"{row['block']}.{row['position']}"
        assert row["ratio"] > 0
    # doubling every scale doubles the ratio where nothing comes before: at the first linear map of the first block
    first = next(row for row in rows if row["site"] == "0.q")
    model.gamma.multiplier.mul_(2)
    second = next(row for row in gamma_rows(model.network, model.cell, inputs) if row["site"] == "0.q")
    assert second["ratio"] == pytest.approx(2 * first["ratio"])
    assert second["gamma"] == pytest.approx(first["gamma"])


def test_a_site_has_its_width(recipe, family, adapt):
    model, _ = adapt(recipe("lora", cells={"0.q": {"rank": 3}, "1.mlp2": {}}), family("plain"))
    widths = {(row["block"], row["position"]): row["width"] for row in site_rows(model.cell)}
    assert widths == {(0, "q"): 3, (1, "mlp2"): recipe("lora")["peft"]["rank"]}


@pytest.mark.parametrize("per", ["sample", "token"])
@pytest.mark.parametrize("kind", ["bert", "opt"])
def test_gates_of_padded_texts_are_those_of_each_text_alone(recipe, family, adapt, kind, per):
    """OPT reads all tokens one behind the other in its FFN."""
    backbone, lengths = family(kind), (9, 4)
    model, _ = adapt(recipe("lora", "gated", **{"scaling.per": per}), backbone)
    batch = text_inputs(backbone.input_spec, lengths, stirred(model))
    alone = [
        gate_rows(
            model.network, model.cell, {name: value[row : row + 1, :length] for name, value in batch.items()}
        )
        for row, length in enumerate(lengths)
    ]
    weights = lengths if per == "token" else (1, 1)
    rows = gate_rows(model.network, model.cell, batch)
    assert [row["site"] for row in rows] == [str(site) for site in model.cell.sites]
    for row, first, second in zip(rows, *alone, strict=True):
        mean = (weights[0] * first["gate"] + weights[1] * second["gate"]) / sum(weights)
        assert row["gate"] == pytest.approx(mean, abs=1e-5)
        assert row["min"] == pytest.approx(min(first["min"], second["min"]), abs=1e-5)
        assert row["max"] == pytest.approx(max(first["max"], second["max"]), abs=1e-5)
        assert 0 < row["min"] < row["max"] < 1


def test_a_gate_that_is_shut_adds_nothing(recipe, family, adapt):
    """But for a prefix: its gate is on its keys and values (UniPELT), and keys of 0 draw attention, too."""
    model, _ = adapt(recipe("unipelt", "gated"), family("plain"))
    stirred(model)
    with torch.no_grad():
        for gate in model.cell.gates.values():
            gate.w.zero_()
            gate.b.fill_(-30.0)
        first = next(iter(model.cell.gates.values()))
        first.b.fill_(math.log(0.25 / 0.75))
    rows = gate_rows(model.network, model.cell, IMAGES)
    assert len(rows) == len(model.cell.gates)
    assert [row["gate"] for row in rows] == pytest.approx([0.25] + [0.0] * (len(rows) - 1), abs=1e-6)
    assert all(row["min"] == row["max"] for row in rows)
    acts = {row["site"] for row in rows if row["ratio"] > 1e-6}
    assert acts == {rows[0]["site"], *(row["site"] for row in rows if row["position"] == "kv")}
