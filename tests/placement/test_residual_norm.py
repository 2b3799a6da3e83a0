"""placement=residual_norm against two blocks by hand."""

from dataclasses import replace

import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.residual_norm import residual_norm
from peftlab.site import Site

SITES = [Site(block, name) for block in (0, 1) for name in ("q", "ffn", "norm1")]


def choose(ground, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "num_samples": 3, "batch_size": 2}
    return residual_norm(ground, **{**full, **options})


@pytest.fixture
def two(toy):
    """Tokens x, of which one is 0; block 0 makes 3 x of them, block 1 adds (0, 1) to that; three images of four tokens."""
    import torch
    from torch import nn

    from peftlab.build.scorer import Scorer
    from peftlab.inputs.batch import Batch

    class Block(nn.Module):
        def __init__(self, times, more):
            super().__init__()
            self.times, self.more = times, torch.tensor(more, dtype=torch.float64)

        def forward(self, x):
            return (self.times * x + self.more,)  # a tuple, as some networks give it

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = Block(3, [0, 0]), Block(1, [0, 1])

        def forward(self, x):
            return self.high(self.low(x)[0])[0].mean(1)

    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1)).double()
    x[1, 2] = 0
    backbone = replace(toy.ground.scorer.backbone, model=Net(), blocks=("low", "high"), labels=("0", "1"))

    def batch(start, stop):
        rows = torch.arange(start, stop)
        return Batch({"images": x[rows]}, rows, rows)

    return Ground(
        ["0", "1"],
        ["q", "ffn", "norm1"],
        SITES,
        Scorer(backbone, nn.Identity(), toy.ground.scorer.loss, batch, 3),
    ), x


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_mean_relative_change_over_all_tokens(two, size):
    ground, x = two
    norms = [float((one[0] ** 2 + one[1] ** 2) ** 0.5) for one in x.flatten(0, 1)]
    high = [1 / (3 * norm) for norm in norms if norm]
    expected = {0: 2, 1: sum(high) / len(high)}
    assert len(high) == 11
    placed = choose(ground, batch_size=size)
    assert placed.scores == pytest.approx({site: expected[site.block] for site in SITES}, rel=1e-12)
    assert not placed.is_open


def test_the_block_that_changes_more_comes_first_and_in_it_the_earlier_positions(two):
    ground, _ = two
    assert list(choose(ground, keep=2).cells) == [Site(0, "q"), Site(0, "ffn")]
    ground.scorer.backbone.model.high.more *= 1000
    placed = choose(ground, keep=4)
    assert list(placed.cells) == [Site(0, "q"), Site(1, "q"), Site(1, "ffn"), Site(1, "norm1")]
    assert [site.block for site in placed.scores] == [1, 1, 1, 0, 0, 0]


def test_blocks_that_do_nothing_rank_nothing(two):
    ground, _ = two
    ground.scorer.backbone.model.low.times = 1
    with pytest.raises(UserError, match=r"^placement=residual_norm: every site has the score 0"):
        choose(ground, depth=0)


def test_without_a_network_all_candidates_are_named(two):
    ground, _ = two
    assert choose(replace(ground, scorer=None)) == Placement({site: {} for site in SITES}, is_open=True)
