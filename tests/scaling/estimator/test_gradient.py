"""Zeros where there is no graph, weighted sums elsewhere."""

import torch

from peftlab.scaling.estimator.gradient import gradient, leaves


def test_leaves_share_the_numbers_but_not_the_graph():
    value = torch.ones(2, requires_grad=True) * 3
    leaf = leaves({"a": value})["a"]
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert leaf.data_ptr() == value.data_ptr()


def test_weighted_sum_skips_outputs_without_a_graph():
    x, unused = torch.tensor([1.0, 2.0], requires_grad=True), torch.zeros(3, requires_grad=True)
    outputs = [torch.ones(2), x.square(), x.sum()]
    weights = [torch.full((2,), 100.0), torch.tensor([1.0, 10.0]), torch.tensor(5.0)]
    by_x, by_unused = gradient(outputs, [x, unused], weights)
    assert by_x.tolist() == [2 * 1 * 1 + 5, 2 * 2 * 10 + 5]
    assert by_unused.tolist() == [0, 0, 0]


def test_nothing_to_differentiate():
    x = torch.ones(2, requires_grad=True)
    assert gradient([x.sum()], []) == []
    assert gradient([torch.ones(())], [x])[0].tolist() == [0, 0]


def test_graph_of_the_gradient():
    x = torch.tensor(3.0, requires_grad=True)
    (slope,) = gradient([x**3], [x], create_graph=True)
    assert gradient([slope], [x])[0].item() == 18
