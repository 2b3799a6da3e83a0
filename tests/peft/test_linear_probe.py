"""Only the head."""

from peftlab.peft.linear_probe import linear_probe


def test_nothing_of_the_backbone():
    assert linear_probe(["blocks.0.attn.qkv.bias"], ["norm.bias"]) == []


def test_only_the_head_trains(recipe, family, adapt):
    model, _ = adapt(recipe("linear_probe"), family("plain"))
    assert set(model.theta()) == {"head.weight"}
    numbers = model.num_parameters()
    assert (numbers["delta"], numbers["selected"], numbers["gamma"], numbers["head"]) == (0, 0, 0, 3 * 16)
