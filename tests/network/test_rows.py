"""Whose rows are whose, on blocks that add a number. Against cells on their own: tests/build/test_together.py."""

import pytest
import torch

from peftlab.network.rows import Rows, nested

X = torch.arange(6.0).reshape(3, 2)


def test_the_last_act_is_the_outermost():
    acts = [lambda frozen, x: 2 * frozen(x), lambda frozen, x: frozen(x) + 1]
    assert torch.equal(nested(acts, lambda x: x + 10)(X), 2 * (X + 10) + 1)
    assert nested([], abs) is abs


def run(joins, num_blocks=3):
    """Blocks that add 1; every cell adds 100 (cell + 1) in the block where it joins. What each cell gets."""
    rows, calls = Rows(joins, num_blocks), []

    def block(index):
        def plain(x):
            calls.append((index, len(x), torch.is_grad_enabled()))
            return x + 1

        own = {cell: [lambda frozen, x, cell=cell: frozen(x) + 100 * (cell + 1)]
               for cell, at in enumerate(joins) if at == index}  # fmt: skip
        return lambda x: rows.act(own, plain, x) if own else plain(x)

    x = X
    for index in range(num_blocks):
        x = rows.through(index, block(index), x)
    return rows.split(x), calls


@pytest.mark.parametrize("joins", [(0, 0), (0, 1, 2), (2, 0), (1, None), (None, None), (2,), (None, 2, 0, 2)])
def test_each_cell_gets_its_own_rows_and_its_own_sites_alone(joins):
    pieces, _ = run(joins)
    for cell, (piece, join) in enumerate(zip(pieces, joins, strict=True)):
        expected = X + 3 + (0 if join is None else 100 * (cell + 1))
        assert torch.equal(piece, expected)


def test_below_the_first_site_one_copy_serves_all():
    _, calls = run((2, 2, 2))
    assert [size for index, size, _ in calls if index < 2] == [3, 3]
    assert sum(size for index, size, _ in calls if index == 2) == 9


def test_what_no_cell_has_joined_needs_no_graph():
    _, calls = run((1, None))
    base = [grad for index, size, grad in calls if index == 1]
    assert sorted(base) == [False, True], (
        "the copy for the others is run without a graph, the cell's rows with one"
    )
