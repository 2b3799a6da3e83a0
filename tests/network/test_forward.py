"""The state of one forward: what each site is given of it."""

import pytest
import torch
from torch import nn

from peftlab.backbone.backbone import Port
from peftlab.network.anchor import Anchor
from peftlab.network.cell import Cell
from peftlab.network.forward import Pass
from peftlab.network.selected import Selected
from peftlab.peft.ssf import Ssf
from peftlab.peft.view import Now, View
from peftlab.scaling.gamma import Gamma, Scaled, Scaling
from peftlab.site import Site

ONE, TWO, OUTSIDE = Site(0, "q"), Site(1, "q"), Site(1, "v")
READ = torch.arange(6.0).reshape(2, 3)


class First(nn.Module):
    """A gate that is the first number of what is read."""

    def forward(self, read):
        return read[:, :1]


def anchor(site):
    port = Port("layer", "out")
    return Anchor(site, port, port, Ssf(View(3, 3), torch.Generator()))


def cell(raw=None, gates=(), scales=(1.0, 3.0)):
    """Three sites, of which the third stands outside scaling."""
    places = [Scaled(site, 1, 3, scale, 3) for site, scale in zip((ONE, TWO), scales, strict=True)]
    gamma = Gamma(places, value=None, rule="plain", activation="identity", raw=raw)
    anchors = [anchor(site) for site in (ONE, TWO, OUTSIDE)]
    scaling = Scaling(gamma, {site: First() for site in gates})
    return Cell(anchors, scaling, Selected(nn.Identity(), []), nn.Identity())


def test_a_scale_that_is_1_for_good_is_left_out_and_so_is_a_site_outside_scaling():
    run = Pass(cell())
    assert run.factors(anchor(ONE), READ) == (None, None)
    gamma, gate = run.factors(anchor(TWO), READ)
    assert (gamma.item(), gate) == (3.0, None)
    assert run.factors(anchor(OUTSIDE), READ) == (None, None)


def test_a_gamma_that_is_trained_is_there_also_at_1_and_has_a_gradient():
    owner = cell(raw=1.0)
    gamma, _ = Pass(owner).factors(anchor(ONE), READ)
    assert gamma.item() == 1.0
    gamma.backward()
    assert owner.gamma.raw.grad.tolist() == [1.0, 0.0]
    assert Pass(owner).factors(anchor(OUTSIDE), READ) == (None, None)


def test_a_gate_is_of_what_its_own_site_reads():
    run = Pass(cell(gates=(TWO,)))
    assert run.factors(anchor(ONE), READ) == (None, None)
    gamma, gate = run.factors(anchor(TWO), READ)
    assert gamma.item() == 3.0
    assert torch.equal(gate, READ[:, :1])


def test_scales_are_those_of_the_start_of_the_forward():
    owner = cell(raw=2.0)
    run = Pass(owner)
    owner.gamma.raw.data.fill_(5.0)
    assert [run.scales[site].item() for site in (ONE, TWO)] == [2.0, 6.0]
    assert [Pass(owner).scales[site].item() for site in (ONE, TWO)] == [5.0, 15.0]


@pytest.mark.parametrize("training", [True, False])
def test_a_site_is_told_the_mode_the_stream_and_its_width(training):
    rng = torch.Generator()
    run = Pass(cell().train(training), rng=rng, widths={ONE: 2})
    assert run.now(ONE) == Now(training, rng, 2)
    assert run.now(TWO) == Now(training, rng, None)


def test_width_0_switches_a_site_off_and_no_width_does_not():
    owner = cell()
    run = Pass(owner, widths={ONE: 0, TWO: 1})
    assert [run.is_off(one) for one in owner.anchors] == [True, False, False]
    assert not any(Pass(owner).is_off(one) for one in owner.anchors)


def test_a_ratio_is_noted_where_it_is_wanted_without_a_graph():
    norms = {}
    old, added = torch.full((2, 3), 2.0, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    Pass(cell(), norms=norms).note(TWO, added.requires_grad_(), old)
    assert norms == {TWO: torch.tensor(0.5)}
    assert (norms[TWO].dtype, norms[TWO].requires_grad) == (torch.float32, False)
    unwanted = Pass(cell())
    unwanted.note(TWO, added, old)
    assert unwanted.norms is None


def test_two_forwards_of_a_cell_share_nothing_that_they_write():
    owner = cell()
    one, two = Pass(owner), Pass(owner)
    one.seen[ONE, Port("layer", "in")] = READ
    one.scales.clear()
    assert two.seen == {}
    assert two.scales.keys() == {ONE, TWO}
    assert two.entered is None
