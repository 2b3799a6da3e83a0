"""placement=from_gamma: what a gamma.csv says, and what it cannot say."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.depth import block_labels
from peftlab.placement.from_gamma import from_gamma
from peftlab.placement.ground import Ground, Placement
from peftlab.site import LINEAR, Site

COLUMNS = ("site", "block", "position", "gamma", "multiplier", "effective", "ratio")
GAMMAS = {Site(0, "q"): 0.5, Site(0, "mlp1"): 2.0, Site(3, "v"): 1.5, Site(11, "out"): 0.01}


def write(folder: Path, gamma: dict[Site, float], ratio: dict[Site, float] | None = None) -> str:
    """The columns of peftlab.record.gamma, written by hand."""
    with (folder / "gamma.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for site, value in gamma.items():
            other = value if ratio is None else ratio[site]
            writer.writerow([str(site), site.block, site.position, value, 1.0, value, other])
    return str(folder)


@pytest.fixture
def run(tmp_path: Path) -> str:
    return write(tmp_path, GAMMAS, {site: 1 / value for site, value in GAMMAS.items()})


def place(run: str, **options: Any) -> list[str]:
    full = {"by": "gamma", "threshold": None, "keep": None, **options}
    placed = from_gamma(Ground(block_labels(12), LINEAR, candidates=[]), run=run, **full)
    cells = placed.cells
    assert set(cells) <= set(placed.scores), "what was read comes back, also of the sites that were left out"
    assert not placed.is_open
    assert all(value == {} for value in cells.values())
    return [str(site) for site in cells]


def test_the_columns_are_those_that_a_run_writes() -> None:
    """Read from the source: the module itself imports torch."""
    spec = find_spec("peftlab.record.gamma")
    assert spec is not None
    assert f"COLUMNS = {COLUMNS}".replace("'", '"') in Path(str(spec.origin)).read_text()


def test_threshold_keeps_what_is_at_or_above_it(run: str) -> None:
    assert place(run, threshold=0.5) == ["0.q", "0.mlp1", "3.v"]
    assert place(run, threshold=0.500001) == ["0.mlp1", "3.v"]
    assert place(run, threshold=0.0) == [str(site) for site in GAMMAS]


def test_keep_takes_the_largest(run: str) -> None:
    assert place(run, keep=1) == ["0.mlp1"]
    assert place(run, keep=2) == ["0.mlp1", "3.v"]
    assert place(run, keep=4) == [str(site) for site in GAMMAS]


def test_a_site_of_gamma_csv_is_a_linear_index_in_every_backbone(run: str) -> None:
    full = {"run": run, "by": "gamma", "threshold": None, "keep": 4}
    placed = from_gamma(Ground(block_labels([2, 2, 6, 2]), LINEAR, candidates=[]), **full)
    assert placed == Placement({site: {} for site in GAMMAS}, GAMMAS)


def test_by_ratio_ranks_by_the_other_column(run: str) -> None:
    assert place(run, keep=1, by="ratio") == ["11.out"]
    assert place(run, threshold=2, by="ratio") == ["0.q", "11.out"]


SITES = st.builds(Site, st.integers(0, 11), st.sampled_from(LINEAR))


@given(st.dictionaries(SITES, st.floats(0, 10), min_size=1), st.data())
def test_keep_and_threshold_agree_and_are_monotone(
    tmp_path_factory: pytest.TempPathFactory, gamma: dict[Site, float], data: st.DataObject
) -> None:
    run = write(tmp_path_factory.mktemp("run"), gamma)
    keep = data.draw(st.integers(1, len(gamma)))
    kept = place(run, keep=keep)
    assert len(kept) == keep
    least = sorted(gamma.values())[-keep]
    assert {str(site) for site, value in gamma.items() if value > least} <= set(kept)
    assert set(kept) <= set(place(run, threshold=least))


def wrong(run: str, words: str, **options: Any) -> None:
    with pytest.raises(UserError) as error:
        place(run, **options)
    assert str(error.value).startswith("placement.")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "None" not in str(error.value)


def test_exactly_one_of_threshold_and_keep(run: str) -> None:
    wrong(run, "placement.threshold=null and placement.keep=null")
    wrong(run, "placement.threshold=0.5 and placement.keep=2", threshold=0.5, keep=2)


def test_a_threshold_of_zero_and_a_keep_are_two(run: str) -> None:
    wrong(run, "both or none of them", threshold=0, keep=2)


def test_nothing_left_names_the_largest(run: str) -> None:
    wrong(run, "keeps no site: the largest gamma in", threshold=2.1)
    wrong(run, "is 2", threshold=2.1)


def test_more_than_there_are(run: str) -> None:
    wrong(run, "placement.keep=5 is more than the 4 sites", keep=5)


def test_a_run_without_gamma(tmp_path: Path) -> None:
    wrong(str(tmp_path), "has no gamma.csv", keep=1)
    wrong(str(tmp_path / "nosuch"), "has no gamma.csv", keep=1)


def test_a_gamma_of_another_backbone_or_method(run: str) -> None:
    write(Path(run), {**GAMMAS, Site(-1, "q"): 1.0})
    with pytest.raises(UserError, match=r"has a gamma at -1\.q"):
        place(run, keep=1)
    write(Path(run), GAMMAS)
    for depth, legal in ((11, LINEAR), (12, ("q", "v")), ([2, 2, 6], LINEAR)):
        with pytest.raises(UserError, match=rf"placement\.run={run} has a gamma at .* lacks"):
            from_gamma(Ground(block_labels(depth), legal, []), run=run, by="gamma", threshold=None, keep=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "it has no row"),
        (b"site,gamma\n", "it has no row"),
        (b"a,b\n1,2\n", "it has no column site"),
        (b"site,b\n0.q,2\n", "it has no column gamma"),
        (b"site,gamma\n0.q,1\n0.v,abc\n", "row 2 has no site and gamma"),
        (b"site,gamma\n0q,1\n", "row 1 has no site and gamma"),
        (b"site,gamma\n0.q,\n", "row 1 has no site and gamma"),
        (b"site,gamma\n0.q\n", "row 1 has no site and gamma"),
        (b"site,gamma\n0.q,1\n1.v,2\n0.q,1\n", "the site 0.q is there twice"),
        (b"site,gamma\n0.q,nan\n", "the gamma of 0.q is not a finite number"),
        (b"site,gamma\n0.q,1e999\n", "the gamma of 0.q is not a finite number"),
        (b"\xff\xfe\0", "utf-8"),
        (b"site,gamma\n0.q," + b"9" * 2**20, "more than 1048576 bytes"),
        (b'site,gamma\n"' + b"x" * 200_000 + b'",1', "field larger than field limit"),
    ],
)
def test_a_file_that_is_no_gamma_table(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / "gamma.csv").write_bytes(text)
    wrong(str(tmp_path), f"{tmp_path / 'gamma.csv'} is not a gamma.csv (", keep=1)
    wrong(str(tmp_path), words, keep=1)


def test_a_gamma_that_is_not_a_number_ranks_nowhere(tmp_path: Path) -> None:
    run = write(tmp_path, {Site(0, "q"): float("nan"), Site(1, "q"): 1.0})
    wrong(run, "the gamma of 0.q is not a finite number", keep=1)
    wrong(run, "the gamma of 0.q is not a finite number", threshold=0.5)
