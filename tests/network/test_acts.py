"""Insertion on a network of three linear layers, where every result is a closed form."""

import pytest
import torch
from torch import nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.network.attachment import Anchor, Attachment
from peftlab.peft.delta import Additive
from peftlab.site import Site


class Linear(Additive):
    """delta(z) = M z, as factors if `merge`."""

    def __init__(self, matrix, *, merge=False):
        super().__init__()
        self.width, self.merge = len(matrix), merge
        self.matrix = nn.Parameter(matrix)

    def forward(self, read):
        return read @ self.matrix.T

    def factors(self):
        return (self.matrix, torch.eye(self.matrix.shape[1])) if self.merge else None


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


def attach(net, reads, writes, shape, *, scale=2.0, merge=False):
    delta = Linear(torch.randn(*shape), merge=merge)
    attachment = Attachment(backbone_of(net), [Anchor(SITE, reads, writes, delta)])
    attachment.scales = {SITE: torch.tensor(scale)}
    return attachment, delta.matrix


@pytest.mark.parametrize("merge", [False, True])
def test_parallel(net, merge):
    _, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), merge=merge)
    expected = net.second(X @ (net.first.weight + 2 * matrix).T + net.first.bias)
    torch.testing.assert_close(net(X), expected)


@pytest.mark.parametrize("merge", [False, True])
def test_sequential_reads_what_the_module_wrote(net, merge):
    frozen = net.first(X)
    _, matrix = attach(net, Port("first", "out"), Port("first", "out"), (6, 6), merge=merge)
    torch.testing.assert_close(net(X), net.second(frozen + 2 * frozen @ matrix.T))


@pytest.mark.parametrize("side", ["in", "out"])
def test_residual_reads_what_another_module_saw_before(net, side):
    read, written = (X if side == "in" else net.first(X)), net(X)
    attachment, matrix = attach(net, Port("first", side), Port("second", "out"), (4, read.shape[-1]))
    torch.testing.assert_close(net(X), written + 2 * read @ matrix.T)
    assert attachment._seen == {}, "activations outlive the forward"


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("third", [0, 1, 2])
def test_a_part_writes_its_third(net, third, merge):
    frozen = net.first(X)
    seen = []
    net.second.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    _, matrix = attach(net, Port("first", "in"), Port("first", "out", (third, 3)), (2, 4), merge=merge)
    net(X)
    rows = slice(2 * third, 2 * third + 2)
    expected = frozen.clone()
    expected[:, rows] += 2 * X @ matrix.T
    torch.testing.assert_close(seen[0], expected)
    kept = [i for i in range(6) if i not in range(6)[rows]]
    assert torch.equal(seen[0][:, kept], frozen[:, kept])


def test_a_part_read_sequentially_is_the_same_third(net):
    frozen = net.first(X)
    port = Port("first", "out", (1, 3))
    _, matrix = attach(net, port, port, (2, 2))
    expected = frozen.clone()
    expected[:, 2:4] += 2 * frozen[:, 2:4] @ matrix.T
    torch.testing.assert_close(net(X), net.second(expected))


@pytest.mark.parametrize("merge", [False, True])
def test_norms_are_of_what_is_added_and_of_what_was_there(net, merge):
    frozen = net.first(X)
    attachment, matrix = attach(net, Port("first", "in"), Port("first", "out", (2, 3)), (2, 4), merge=merge)
    attachment.norms = {}
    net(X)
    expected = (2 * X @ matrix.T).norm() / frozen[:, 4:].norm()
    torch.testing.assert_close(attachment.norms[SITE], expected.detach())


def test_detach_restores_the_forward_and_leaves_no_hook(net):
    frozen = net(X)
    attachment, _ = attach(net, Port("first", "in"), Port("second", "out"), (4, 4))
    assert not torch.equal(net(X), frozen)
    attachment.detach()
    assert torch.equal(net(X), frozen)
    for module in net.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    attachment.detach()  # a second time does nothing


def test_a_backbone_is_not_adapted_twice(net):
    attachment, _ = attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    with pytest.raises(RuntimeError, match="adapted already"):
        attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    attachment.detach()
    attach(net, Port("first", "in"), Port("first", "out"), (6, 4))


def test_input_adds_to_what_the_module_takes(net):
    _, matrix = attach(net, Port("second", "in"), Port("second", "in"), (6, 6))
    hidden = net.first(X)
    torch.testing.assert_close(net(X), frozen_second(net, hidden + 2 * hidden @ matrix.T))


def frozen_second(net, x):
    return x @ net.second.weight.T + net.second.bias


def test_a_site_that_scaling_leaves_out_has_the_factor_one(net):
    attachment, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    attachment.scales = {}
    torch.testing.assert_close(net(X), frozen_second(net, X @ (net.first.weight + matrix).T + net.first.bias))


def test_a_gate_multiplies_and_is_not_merged(net):
    attachment, matrix = attach(net, Port("first", "in"), Port("first", "out"), (6, 4), merge=True)
    attachment.gates = {SITE: lambda read: read[:, :1]}
    hidden = X @ net.first.weight.T + net.first.bias + X[:, :1] * 2 * X @ matrix.T
    torch.testing.assert_close(net(X), frozen_second(net, hidden))


@pytest.mark.parametrize(("side", "wanted"), [("heads", "OnHeads"), ("tokens", "OnTokens")])
def test_a_form_that_cannot_act_at_a_port_is_refused(net, side, wanted):
    with pytest.raises(UserError, match=rf"Linear cannot act at 0\.q; legal there: a {wanted}"):
        attach(net, Port("first", "in"), Port("first", side), (6, 4))


def test_a_module_that_runs_later_cannot_be_read(net):
    attach(net, Port("second", "out"), Port("first", "out"), (6, 4))
    with pytest.raises(UserError, match=r"peft\.insertion: 0\.q reads second, which runs after"):
        net(X)


def test_parameter_names_do_not_change(net):
    names = list(net.state_dict())
    attach(net, Port("first", "in"), Port("first", "out"), (6, 4))
    assert list(net.state_dict()) == names
