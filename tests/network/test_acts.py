"""Insertion on a network of three linear layers, where every result is a closed form."""

import pytest
import torch
from torch import nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.network import acts
from peftlab.network.anchor import Anchor
from peftlab.network.cell import Cell
from peftlab.network.forward import Pass
from peftlab.network.network import Network
from peftlab.network.selected import Selected
from peftlab.peft.delta import Additive, LowRank
from peftlab.peft.view import EVAL
from peftlab.scaling.gamma import Gamma, Scaled, Scaling
from peftlab.site import Site


class Linear(Additive):
    """delta(z) = M z."""

    def __init__(self, matrix):
        super().__init__()
        self.width = len(matrix)
        self.matrix = nn.Parameter(matrix)

    def forward(self, read, now=EVAL):
        return read @ self.matrix.T


class Merging(Linear, LowRank):
    """The same with factors."""

    def factors(self, now=EVAL):
        return self.matrix, torch.eye(self.matrix.shape[1])


class Net(nn.Module):
    """x -> second(first(x)), and `first` is six wide."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.second(self.first(x))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().requires_grad_(False)


X = torch.linspace(-1, 1, 8).reshape(2, 4)
SITE = Site(0, "q")


def backbone_of(net):
    spec = InputSpec(4, (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0)
    return Backbone(net, "net", ("first",), ("0",), 0, {}, (), spec, 4, "none")


def attach(net, reads, writes, shape, *, scale=2.0, merge=False, gate=None):
    """What computes the net with one site in it, and the site's matrix; `scale` None leaves it out of scaling."""
    delta = (Merging if merge else Linear)(torch.randn(*shape))
    scaled = [] if scale is None else [Scaled(SITE, 1, shape[0], scale, shape[1])]
    gates = {} if gate is None else {SITE: gate}
    scaling = Scaling(Gamma(scaled, value=None, rule="plain"), gates)
    cell = Cell([Anchor(SITE, reads, writes, delta)], scaling, Selected(net, []), nn.Identity())
    return Adapted(Network(backbone_of(net)), cell), delta.matrix


class Adapted:
    """A network with one cell, as a function of x; `norms` and `run` are of the last call."""

    def __init__(self, network, cell):
        self.network, self.cell = network, cell

    def __call__(self, x, norms=None):
        self.run = Pass(self.cell, norms=norms)
        return self.network._one(self.run, {"images": x})


@pytest.mark.parametrize("merge", [False, True])
def test_parallel(net, merge):
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), merge=merge)
    expected = net.second(X @ (net.first.weight + 2 * matrix).T + net.first.bias)
    torch.testing.assert_close(adapted(X), expected)


@pytest.mark.parametrize("merge", [False, True])
def test_sequential_reads_what_the_module_wrote(net, merge):
    frozen = net.first(X)
    adapted, matrix = attach(net, Port("first", "out"), Port("first", "out"), (6, 6), merge=merge)
    torch.testing.assert_close(adapted(X), net.second(frozen + 2 * frozen @ matrix.T))


@pytest.mark.parametrize("side", ["in", "out"])
def test_residual_reads_what_another_module_saw_before(net, side):
    read, written = (X if side == "in" else net.first(X)), net(X)
    adapted, matrix = attach(net, Port("first", side), Port("second", "out"), (4, read.shape[-1]))
    torch.testing.assert_close(adapted(X), written + 2 * read @ matrix.T)
    assert adapted.run.seen == {}, "activations outlive their use"


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("third", [0, 1, 2])
def test_a_part_writes_its_third(net, third, merge):
    frozen = net.first(X)
    seen = []
    net.second.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out", (third, 3)), (2, 4), merge=merge)
    adapted(X)
    rows = slice(2 * third, 2 * third + 2)
    expected = frozen.clone()
    expected[:, rows] += 2 * X @ matrix.T
    torch.testing.assert_close(seen[0], expected)
    kept = [i for i in range(6) if i not in range(6)[rows]]
    assert torch.equal(seen[0][:, kept], frozen[:, kept])


def test_a_part_read_sequentially_is_the_same_third(net):
    frozen = net.first(X)
    port = Port("first", "out", (1, 3))
    adapted, matrix = attach(net, port, port, (2, 2))
    expected = frozen.clone()
    expected[:, 2:4] += 2 * frozen[:, 2:4] @ matrix.T
    torch.testing.assert_close(adapted(X), net.second(expected))


@pytest.mark.parametrize("merge", [False, True])
def test_norms_are_of_what_is_added_and_of_what_was_there(net, merge):
    frozen = net.first(X)
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out", (2, 3)), (2, 4), merge=merge)
    norms = {}
    adapted(X, norms)
    expected = (2 * X @ matrix.T).norm() / frozen[:, 4:].norm()
    torch.testing.assert_close(norms[SITE], expected.detach())


def test_outside_a_forward_the_net_is_the_frozen_one_and_has_no_hook(net):
    frozen = net(X)
    adapted, _ = attach(net, Port("first", "in"), Port("second", "out"), (4, 4))
    assert not torch.equal(adapted(X), frozen)
    assert torch.equal(net(X), frozen)
    for module in net.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_net_is_adapted_twice_and_each_has_its_own_site_alone(net):
    one, first = attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    two, second = attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    for adapted, matrix in ((one, first), (two, second), (one, first)):
        expected = frozen_second(net, X @ (net.first.weight + 2 * matrix).T + net.first.bias)
        torch.testing.assert_close(adapted(X), expected)


def test_input_adds_to_what_the_module_takes(net):
    adapted, matrix = attach(net, Port("second", "in"), Port("second", "in"), (6, 6))
    hidden = net.first(X)
    torch.testing.assert_close(adapted(X), frozen_second(net, hidden + 2 * hidden @ matrix.T))


def frozen_second(net, x):
    return x @ net.second.weight.T + net.second.bias


def test_a_site_that_scaling_leaves_out_has_the_factor_one(net):
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), scale=None)
    torch.testing.assert_close(
        adapted(X), frozen_second(net, X @ (net.first.weight + matrix).T + net.first.bias)
    )


class First(nn.Module):
    """A gate that is the first number of what is read."""

    def forward(self, read):
        return read[:, :1]


def test_a_gate_multiplies_and_is_not_merged(net):
    gate = First()
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), merge=True, gate=gate)
    hidden = X @ net.first.weight.T + net.first.bias + X[:, :1] * 2 * X @ matrix.T
    torch.testing.assert_close(adapted(X), frozen_second(net, hidden))


@pytest.mark.parametrize(("side", "wanted"), [("heads", "OnHeads"), ("tokens", "OnTokens")])
def test_a_form_that_cannot_act_at_a_port_is_refused(net, side, wanted):
    with pytest.raises(UserError, match=rf"Linear cannot act at 0\.q; legal there: a {wanted}"):
        attach(net, Port("first", "in"), Port("first", side), (6, 4))


def test_a_module_that_runs_later_cannot_be_read(net):
    adapted, _ = attach(net, Port("second", "out"), Port("first", "out"), (6, 4))
    with pytest.raises(UserError, match=r"peft\.insertion: 0\.q reads second, which runs after"):
        adapted(X)


def test_parameter_names_do_not_change(net):
    names = list(net.state_dict())
    adapted, _ = attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    adapted(X)
    assert list(net.state_dict()) == names


def test_low_rank_updates_are_merged_where_the_layer_is_a_plain_one_and_nowhere_else(net, monkeypatch):
    calls, merged = [], acts.low_rank_linear
    monkeypatch.setattr(acts, "low_rank_linear", lambda *given: calls.append(None) or merged(*given))
    adapted, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), merge=True)
    adapted(X)
    assert len(calls) == 1
    adapted(X, norms={})
    assert len(calls) == 2, "norms are taken beside the same product"
    net.first.forward = lambda x: 3 * type(net.first).forward(net.first, x)
    expected = frozen_second(net, 3 * (X @ net.first.weight.T + net.first.bias) + 2 * X @ matrix.T)
    torch.testing.assert_close(adapted(X), expected)
    assert len(calls) == 2


class Mlp(nn.Module):
    """x -> second(act(first(norm(x))))."""

    def __init__(self):
        super().__init__()
        self.norm, self.first, self.act, self.second = (
            nn.LayerNorm(4),
            nn.Linear(4, 6),
            nn.GELU(),
            nn.Linear(6, 4),
        )

    def forward(self, x):
        return self.second(self.act(self.first(self.norm(x))))


@pytest.mark.parametrize("source", ["act", "first", None])
def test_what_a_merged_layer_reads_is_made_again_in_backward_if_it_came_from_an_activation(
    monkeypatch, source
):
    torch.manual_seed(0)
    net = Mlp().requires_grad_(False)
    x = X.clone().requires_grad_()
    taken, merged = [], acts.low_rank_linear
    monkeypatch.setattr(acts, "low_rank_linear", lambda *given: taken.append(given[4]) or merged(*given))
    adapted, matrix = attach(
        net, Port("second", "in", source=source), Port("second", "out"), (4, 6), merge=True
    )
    read = net.act(net.first(net.norm(x)))
    expected = read @ (net.second.weight + 2 * matrix).T + net.second.bias
    given = adapted(x)
    torch.testing.assert_close(given, expected)
    assert [None if found is None else found.output.shape[-1] for found in taken] == [{"act": 6}.get(source)]
    assert adapted.run.given == {}, "activations outlive their use"
    slope = torch.randn(2, 4)
    got = torch.autograd.grad(given, (x, matrix), slope)
    torch.testing.assert_close(got, torch.autograd.grad(expected, (x, matrix), slope))


def test_a_source_with_parameters_is_not_called_again():
    net = Mlp().requires_grad_(False)
    net.act = nn.PReLU()
    port = Port("second", "in", source="act")
    adapted, _ = attach(net, port, Port("second", "out"), (4, 6), merge=True)
    run, modules = Pass(adapted.cell), dict(net.named_modules())
    assert acts.sources_of(run, modules, {}) == {}
    net.act = nn.GELU()
    modules = dict(net.named_modules())
    assert list(acts.sources_of(run, modules, {})) == ["act"]
    assert acts.sources_of(run, modules, {"act": []}) == {}, "something acts there"
