"""The rows of gamma.csv: the parts of a scale, and the ratio by hand."""

import pytest
import torch

from peftlab.run.sites import gamma_rows, site_rows


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
