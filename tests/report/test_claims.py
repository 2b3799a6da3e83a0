"""Claims named beforehand: what they mean, what they are worth, and what is no claim."""

from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures.study import put_run, study_of
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests

from peftlab.errors import UserError
from peftlab.report.cell import Cell
from peftlab.report.claims import claim_lines, plain_claims, read_claims, verdicts

CLAIMS = ["peft=b > peft=a", "peft=c > peft=b", "peft=a > peft=d @tail", "peft=d>peft=c"]


def made(folder: Path, seeds: int = 4) -> list[Cell]:
    """d is far above the others, whose differences are small."""
    rng = np.random.default_rng(3)
    for place, name in enumerate("abcd"):
        for seed in range(seeds):
            value = 0.5 + 0.01 * place + 0.2 * (name == "d") + 0.05 * seed + 0.01 * rng.normal()
            put_run(
                folder, {"peft": name}, seed, {"mean_acc": value, "tail_acc": value / 2 + 0.01 * rng.normal()}
            )
    return study_of(folder).cells


def test_p_and_holm_are_those_of_statsmodels(tmp_path: Path) -> None:
    cells = made(tmp_path / "sweep")
    found = verdicts(read_claims(cells, CLAIMS))
    p = []
    for one in found:
        frame = pd.DataFrame(
            [
                (job.seed, cell.choices["peft"], 100 * job.metrics[f"test/{one.claim.metric.name}"])
                for cell in cells
                for job in cell.jobs
            ],
            columns=["seed", "cell", "y"],
        )
        better, worse = (cell.choices["peft"] for cell in one.claim[:2])
        fit = ols(f"y ~ C(seed) + C(cell, Treatment('{worse}'))", frame).fit()
        key = f"C(cell, Treatment('{worse}'))[T.{better}]"
        assert one.difference == pytest.approx(fit.params[key])
        assert (one.low, one.high) == pytest.approx(tuple(fit.conf_int().loc[key]))
        p.append(fit.pvalues[key])
    assert [one.p for one in found] == pytest.approx(p)
    assert [one.holm for one in found] == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert [one.word for one in found][2:] == ["the other way round", "holds"]
    assert found[0].word in ("holds", "not decided")


def test_lines(tmp_path: Path) -> None:
    lines = claim_lines(made(tmp_path / "sweep"), CLAIMS)
    assert lines[2].startswith(
        "claim: peft=a > peft=d in tail: the other way round; -12.7 (-14.5, -11.0), n = 4, p"
    )
    assert lines[3].startswith("claim: peft=d > peft=c in mean: holds; +2")
    assert lines[3].endswith(", n = 4, p <0.0001, Holm <0.0001")
    assert claim_lines(made(tmp_path / "more"), []) == []


def test_as_json(tmp_path: Path) -> None:
    first, *_ = plain_claims(made(tmp_path / "sweep"), CLAIMS[3:])
    assert (first["better"], first["worse"], first["metric"]) == ({"peft": "d"}, {"peft": "c"}, "mean_acc")
    assert (first["verdict"], first["seeds"]) == ("holds", 4)
    assert 0.19 < first["low"] < first["value"] < first["high"] < 0.25, "fractions, as the rest of it"
    (unknown,) = plain_claims(made(tmp_path / "one", 1), CLAIMS[:1])
    assert (unknown["p"], unknown["low"]) == (None, None)


def test_one_seed_knows_nothing(tmp_path: Path) -> None:
    (one,) = verdicts(read_claims(made(tmp_path / "sweep", 1), CLAIMS[:1]))
    assert (one.word, one.num, isnan(one.p), isnan(one.low)) == ("not known", 1, True, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("peft=a", "claim=peft=a is no claim; legal: CELL > CELL"),
        ("peft=a > ", "is no claim"),
        ("peft=a > peft=b > peft=c", "is no claim"),
        (
            "peft=a > peft=x",
            "claim=peft=a > peft=x: peft=x is no cell of this sweep; legal are peft=a; peft=b",
        ),
        ("peft=a > peft=a", "names one cell twice"),
        ("peft=a > peft=b @micro", "@micro is no metric of this sweep; legal: @mean, @tail"),
    ],
)
def test_what_is_no_claim(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        read_claims(made(tmp_path / "sweep", 1), [text])
    assert sentence in str(error.value)
