"""The merged kernel against the plain formula, finite differences and autograd's own second derivatives."""

import weakref

import pytest
import torch
from torch.nn import functional as F

from peftlab.network.kernel import low_rank_linear as kernel
from peftlab.network.kernel.low_rank_linear import LowRankPart, Source, low_rank_linear, merges

ROWS = (slice(0, 3), slice(6, 9))  # q and v of a fused qkv of width 3
RANKS = (2, 1)


@pytest.fixture(autouse=True, params=["merged", "beside"])
def graph(request, monkeypatch):
    """Every oracle holds for both graphs, whichever the shapes of a test would choose."""
    monkeypatch.setattr(kernel, "merges", lambda *shape: request.param == "merged")


def tensors(dtype=torch.float64, channel=False):
    """x, W, b and per part (scale, B, A), all leaves."""
    rng = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype).requires_grad_()

    flat = []
    for rank in RANKS:
        flat += [random(3) if channel else random(), random(3, rank), random(rank, 4)]
    return random(2, 2, 4), random(9, 4), random(9), flat


def merged(x, weight, bias, *flat):
    parts = [LowRankPart(rows, *flat[3 * i : 3 * i + 3]) for i, rows in enumerate(ROWS)]
    return low_rank_linear(x, weight, bias, parts)


def plain(x, weight, bias, *flat):
    """y = W x + b, then y[rows] += scale * B (A x)."""
    write = F.linear(x, weight, bias)
    for i, rows in enumerate(ROWS):
        scale, B, A = flat[3 * i : 3 * i + 3]
        added = torch.zeros_like(write)
        added[..., rows] = (x @ A.T @ B.T) * scale
        write = write + added
    return write


@pytest.mark.parametrize("channel", [False, True])
def test_forward_and_gradients_are_the_formula_s(channel):
    x, weight, bias, flat = tensors(channel=channel)
    inputs = [x, weight, bias, *flat]
    slope = torch.randn(2, 2, 9, dtype=torch.float64)
    ours, theirs = merged(*inputs), plain(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    got = torch.autograd.grad(ours, inputs, slope)
    torch.testing.assert_close(got, torch.autograd.grad(theirs, inputs, slope), rtol=1e-11, atol=1e-11)


# which of x, W, b, scale take a gradient: everything; a first site; in a run; gamma frozen
NEEDS = [(1, 1, 1, 1), (0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 0, 0)]
TRAINED = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]  # scale (an outer step), B or A alone


@pytest.mark.parametrize(("needs", "channel"), [*((needs, False) for needs in NEEDS), (NEEDS[0], True)])
def test_first_and_second_derivatives(needs, channel):
    x, weight, bias, flat = tensors(channel=channel)
    for tensor, need in zip((x, weight, bias, flat[0], flat[3]), (*needs, needs[-1]), strict=True):
        tensor.requires_grad_(bool(need))
    inputs = (x, weight, bias, *flat)
    assert torch.autograd.gradcheck(merged, inputs)
    assert torch.autograd.gradgradcheck(merged, inputs)


@pytest.mark.parametrize("trained", TRAINED)
def test_one_factor_alone_takes_a_gradient(trained):
    x, weight, bias, flat = tensors()
    for i, tensor in enumerate(flat):
        tensor.requires_grad_(bool(trained[i % 3]))
    inputs = [x, *(tensor for tensor in flat if tensor.requires_grad)]
    got = torch.autograd.grad(merged(x, weight, bias, *flat).square().sum(), inputs)
    expected = torch.autograd.grad(plain(x, weight, bias, *flat).square().sum(), inputs)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


def test_without_bias():
    x, weight, _, flat = tensors()
    expected = plain(x, weight, torch.zeros(9, dtype=torch.float64), *flat)
    torch.testing.assert_close(merged(x, weight, None, *flat), expected)
    assert torch.autograd.gradcheck(merged, (x[0, :1], weight, None, *flat))


def test_frozen_inputs_get_no_gradient():
    x, weight, bias, flat = tensors()
    for tensor in (x, weight, bias, flat[0], flat[3]):
        tensor.requires_grad_(False)
    merged(x, weight, bias, *flat).sum().backward()
    learned = [tensor.grad is not None for tensor in (x, weight, bias, *flat)]
    assert learned == [False] * 3 + [False, True, True] * 2


def test_zero_factors_leave_the_layer_bit_for_bit():
    x, weight, bias, flat = tensors(torch.float32)
    zero = [tensor if i % 3 != 1 else torch.zeros_like(tensor) for i, tensor in enumerate(flat)]
    assert torch.equal(merged(x, weight, bias, *zero), F.linear(x, weight, bias))


def test_neither_weight_nor_factors_are_written_to():
    x, weight, bias, flat = tensors(torch.float32)
    before = [tensor.detach().clone() for tensor in (x, weight, bias, *flat)]
    merged(x, weight, bias, *flat).square().sum().backward()
    after = (x, weight, bias, *flat)
    assert all(torch.equal(tensor, old) for tensor, old in zip(after, before, strict=True))


@pytest.mark.parametrize("channel", [False, True])
def test_bf16_autocast_stays_close_and_gradients_are_fp32(channel):
    x, weight, bias, flat = tensors(torch.float32, channel)
    inputs = [x, weight, bias, *flat]
    slope = torch.randn(2, 2, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = merged(*inputs)
    assert ours.dtype == torch.bfloat16
    theirs = plain(*inputs)
    torch.testing.assert_close(ours.float(), theirs, rtol=0.03, atol=0.06)
    got = torch.autograd.grad(ours, inputs, slope.bfloat16())
    expected = torch.autograd.grad(theirs, inputs, slope)
    for grad, reference in zip(got, expected, strict=True):
        assert grad.dtype == torch.float32
        assert (grad - reference).norm() <= 0.02 * reference.norm()


def test_a_single_part_over_all_rows():
    x, weight, bias, flat = tensors()
    one = low_rank_linear(
        x, weight, bias, [LowRankPart(slice(0, 9), flat[0], torch.cat([flat[1]] * 3), flat[2])]
    )
    expected = F.linear(x, weight + flat[0] * torch.cat([flat[1]] * 3) @ flat[2], bias)
    torch.testing.assert_close(one, expected)


EVEN = tuple(slice(3 * i, 3 * i + 3) for i in range(3))


@pytest.mark.parametrize("channel", [False, True])
def test_equal_parts_that_cover_the_outputs_are_the_formula_s_too(channel):
    x, weight, bias, _ = tensors()
    rng = torch.Generator().manual_seed(1)
    shapes = [shape for _ in EVEN for shape in (((3,) if channel else ()), (3, 2), (2, 4))]
    flat = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    parts = [LowRankPart(rows, *flat[3 * i : 3 * i + 3]) for i, rows in enumerate(EVEN)]

    def whole(x, weight, bias, *flat):
        split = [LowRankPart(rows, *flat[3 * i : 3 * i + 3]) for i, rows in enumerate(EVEN)]
        return low_rank_linear(x, weight, bias, split)

    added = torch.cat([(x @ part.A.T @ part.B.T) * part.scale for part in parts], dim=-1)
    torch.testing.assert_close(whole(x, weight, bias, *flat), F.linear(x, weight, bias) + added)
    assert torch.autograd.gradcheck(whole, (x, weight, bias, *flat))
    assert torch.autograd.gradgradcheck(whole, (x, weight, bias, *flat))


def test_many_tokens_merge_and_few_do_not():
    assert merges(1088, 768, 192)
    assert merges(8 * 197, 1536, 384)
    assert not merges(4 * 197, 3072, 768)
    assert not merges(17, 192, 192)


def test_a_single_part_over_some_rows():
    x, weight, bias, flat = tensors()

    def one(x, weight, bias, *flat):
        return low_rank_linear(x, weight, bias, [LowRankPart(slice(3, 6), *flat)])

    expected = F.linear(x, weight, bias)
    expected[..., 3:6] += (x @ flat[2].T @ flat[1].T) * flat[0]
    torch.testing.assert_close(one(x, weight, bias, *flat[:3]), expected)
    assert torch.autograd.gradcheck(one, (x, weight, bias, *flat[:3]))
    assert torch.autograd.gradgradcheck(one, (x, weight, bias, *flat[:3]))


MAKES = {"gelu": F.gelu, "norm": lambda x: F.layer_norm(x, x.shape[-1:])}


def behind(make, x, weight, bias, *flat):
    """The layer on make(x), which it makes again in backward."""
    given = make(x)
    parts = [LowRankPart(rows, *flat[3 * i : 3 * i + 3]) for i, rows in enumerate(ROWS)]
    return low_rank_linear(given, weight, bias, parts, Source(make, x, given))


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_an_input_that_is_made_again_has_the_same_derivatives(make):
    x, *others, flat = tensors()
    inputs = (x, *others, *flat)
    assert torch.autograd.gradcheck(lambda *given: behind(make, *given), inputs)
    assert torch.autograd.gradgradcheck(lambda *given: behind(make, *given), inputs)
    ours, theirs = behind(make, *inputs), merged(make(x), *others, *flat)
    assert torch.equal(ours, theirs)
    slope = torch.randn(2, 2, 9, dtype=torch.float64)
    for got, expected in zip(
        torch.autograd.grad(ours, inputs, slope), torch.autograd.grad(theirs, inputs, slope), strict=True
    ):
        assert torch.equal(got, expected)


def test_an_input_that_is_made_again_is_made_in_the_precision_of_forward():
    x, *others, flat = tensors(torch.float32)
    inputs = (x, *others, *flat)
    slope = torch.randn(2, 2, 9).bfloat16()

    def make(x):
        return F.linear(x, torch.eye(4))  # cast by autocast

    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = behind(make, *inputs), merged(make(x), *others, *flat)
    got = torch.autograd.grad(ours, inputs, slope)
    for grad, expected in zip(got, torch.autograd.grad(theirs, inputs, slope), strict=True):
        assert torch.equal(grad, expected)


@pytest.mark.parametrize("is_source", [True, False])
def test_an_input_that_is_made_again_is_not_kept_and_another_one_is(is_source):
    x, weight, bias, flat = tensors()
    given = F.gelu(x)
    parts = [LowRankPart(rows, *flat[3 * i : 3 * i + 3]) for i, rows in enumerate(ROWS)]
    source = Source(F.gelu, x, given if is_source else given.clone())
    y, alive = low_rank_linear(given, weight, bias, parts, source), weakref.ref(given)
    del given, source
    assert (alive() is None) == is_source
    y.sum().backward()
