"""The gate between prompts: its mix and its slopes. Among the tokens of a network: tests/network/test_tokens.py."""

import math

import pytest
import torch

from peftlab.peft.prompt_gate import PromptGate
from peftlab.peft.view import View


def gate(init):
    return PromptGate(View(4, 4), torch.Generator(), init=init).double()


ENTERED, LEFT = (torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(n)).double() for n in (0, 1))


@pytest.mark.parametrize("init", [-10.0, -1.0, 0.5])
def test_the_mix_is_convex_with_a_sigmoid(init):
    g = 1 / (1 + math.exp(-init))
    torch.testing.assert_close(gate(init)(ENTERED, LEFT, None, None), g * LEFT + (1 - g) * ENTERED)


def test_its_limits_are_the_prompts_before_and_after():
    assert torch.equal(gate(100.0)(ENTERED, LEFT, None, None), LEFT)
    torch.testing.assert_close(gate(-100.0)(ENTERED, LEFT, None, None), ENTERED, rtol=0, atol=1e-30)


def test_gradients_match_finite_differences():
    mix, given = gate(-1.0), [value.clone().requires_grad_() for value in (ENTERED, LEFT)]

    def of(raw, entered, left):
        return torch.func.functional_call(mix, {"raw": raw}, (entered, left, None, None))

    raw = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(of, (raw, *given))
    of(raw, *given).sum().backward()
    g = torch.sigmoid(torch.tensor(-1.0, dtype=torch.float64))
    torch.testing.assert_close(raw.grad, g * (1 - g) * (LEFT - ENTERED).sum())


def test_it_mixes_in_the_precision_of_the_prompts():
    half = PromptGate(View(4, 4), torch.Generator(), init=-1.0)(
        ENTERED.bfloat16(), LEFT.bfloat16(), None, None
    )
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("num_before", [1, 7])
def test_as_many_prompts_enter_as_before(num_before):
    assert gate(0.0).num_prompts(num_before) == num_before


def test_without_prompts_from_below_it_says_so():
    with pytest.raises(ValueError, match=r"^no prompts come from the block below$"):
        gate(0.0).num_prompts(0)


def test_it_is_one_number_that_decays_as_a_gate_does():
    mix = PromptGate(View(4, 4), torch.Generator(), init=-10.0)
    assert {name: value.tolist() for name, value in mix.named_parameters()} == {"raw": -10.0}
    assert mix.is_gate
    assert not mix.per_token
    assert mix.width == 1
