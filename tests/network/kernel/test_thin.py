"""Thin products against plain ones, in every form that they can take."""

import pytest
import torch

from peftlab.network.kernel import thin


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("num_rows", [7, 640, 641])
def test_hidden_of_is_the_product(num_rows):
    down, x = random(3, 5), random(num_rows, 5)
    torch.testing.assert_close(thin.hidden_of(down, x), down @ x.T)


@pytest.mark.parametrize("num", [1, 3])
def test_parts_are_products_with_the_block_diagonal_of_up(num):
    up, down, weight = random(num, 4, 2), random(2 * num, 5), random(4 * num, 5)
    hidden, grad = random(2 * num, 7), random(7, 4 * num)
    whole = torch.block_diag(*up)
    torch.testing.assert_close(thin.merged(weight, up, down), weight + whole @ down)
    torch.testing.assert_close(thin.back_of(up, grad), whole.T @ grad.T)
    cross = thin.cross_of(hidden, grad, num)
    for i, own in enumerate(cross):
        expected = hidden[2 * i : 2 * i + 2] @ grad[:, 4 * i : 4 * i + 4]
        torch.testing.assert_close(own, expected)
    y = grad.clone()
    thin.add_up(y, hidden, up)
    torch.testing.assert_close(y, grad + (whole @ hidden).T)


def test_rows_are_cut_into_equal_pieces_or_not_at_all():
    for num_rows in (1, 106, 107, 320, 1088, 4352, 788, 4001):
        num = thin._num_pieces(num_rows)
        assert num_rows % num == 0
        assert num == 1 or thin.PIECE // 3 < num_rows // num <= thin.PIECE
    assert thin._num_pieces(4352) == 16
