"""Against all cosines at once, in float64."""

import numpy as np
import pytest
import torch

from peftlab.dataset.suspect import near
from peftlab.dataset.suspect.near import correlation, near_pairs


def test_against_every_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "MAX_COSINES", 7 * 30)  # more than one chunk
    rng = torch.Generator().manual_seed(0)
    first, second = torch.randn(30, 5, generator=rng) + 3, torch.randn(20, 5, generator=rng) + 3
    x, y = ((part - first.mean(0)).double() for part in (first, second))
    cosines = (y @ x.T / y.norm(dim=1)[:, None] / x.norm(dim=1)).numpy()
    pairs = near_pairs(first, second, at_least=0.8)
    assert sorted(pair.other for pair in pairs) == np.flatnonzero(cosines.max(1) >= 0.8).tolist()
    assert 0 < len(pairs) < 20
    for pair in pairs:
        assert pair.one == cosines[pair.other].argmax()
        assert pair.cosine == pytest.approx(cosines.max(1)[pair.other], abs=1e-6)
    assert [pair.cosine for pair in pairs] == sorted((pair.cosine for pair in pairs), reverse=True)


def test_what_all_share_is_taken_away() -> None:
    """Opposite of each other around their mean, though nearly parallel from zero."""
    first = torch.tensor([[100.0, 1.0], [100.0, -1.0]])
    assert near_pairs(first, torch.tensor([[100.0, 3.0]]), at_least=0.99)[0].one == 0
    assert near_pairs(first, torch.tensor([[103.0, 0.0]]), at_least=0.1) == []


def test_correlation() -> None:
    x, y = torch.randn(2, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
    assert correlation(x, 3 * x + 2) == pytest.approx(1)
    assert correlation(x, torch.ones(64, dtype=torch.float64)) == 0
