"""The mean square at a port, against numbers."""

import pytest
import torch
from fixtures.text import text_inputs
from torch import nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.build.mean_square import mean_squares
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.site import Site


class Net(nn.Module):
    """One layer on the mean colour, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.qkv, self.idle = nn.Linear(3, 6), nn.Linear(2, 2)

    def forward(self, images):
        return self.qkv(images.mean((2, 3)))


@pytest.fixture
def net():
    spec = InputSpec(2, (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0)
    fields = {"blocks": ("qkv",), "labels": ("0",), "num_prefix_tokens": 0, "places": {}, "outside": ()}
    return Backbone(model=Net(), name="net", input_spec=spec, num_features=6, hash="net", **fields)


def test_parts_and_batches_of_different_size(net):
    images = torch.randn(10, 3, 2, 2)
    x = images.mean((2, 3))
    y = net.model(images)
    ports = [Port("qkv", "in"), Port("qkv", "out"), *(Port("qkv", "out", (i, 3)) for i in range(3))]
    found = mean_squares(
        net, dict.fromkeys(ports, Site(0, "q")), [{"images": images[:7]}, {"images": images[7:]}]
    )
    expected = [x, y, y[:, :2], y[:, 2:4], y[:, 4:]]
    for port, value in zip(ports, expected, strict=True):
        assert found[port] == pytest.approx(value.square().mean().item(), rel=1e-5)


def test_a_module_that_is_never_called_is_an_error_and_no_hook_stays(net):
    ports = dict.fromkeys([Port("qkv", "in"), Port("idle", "out")], Site(0, "q"))
    with pytest.raises(UserError, match=r"^placement: net never calls idle; its forward bypasses it"):
        mean_squares(net, ports, [{"images": torch.randn(2, 3, 2, 2)}])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.model.modules())


@pytest.mark.parametrize("kind", ["bert", "distilbert", "llama", "gpt_neox", "opt", "bart", "t5"])
def test_padding_does_not_count(family, kind):
    backbone = family(kind)
    lengths = (9, 4, 6)
    inputs = text_inputs(backbone.input_spec, lengths, torch.Generator().manual_seed(1))
    ports = {
        port: site
        for site, place in backbone.places.items()
        for port in (place.input, place.output)
        if port.side in ("in", "out")
    }
    alone = [
        {name: value[row : row + 1, :length] for name, value in inputs.items()}
        for row, length in enumerate(lengths)
    ]
    together, one_by_one = mean_squares(backbone, ports, [inputs]), mean_squares(backbone, ports, alone)
    for port in ports:
        assert together[port] == pytest.approx(one_by_one[port], rel=1e-5), port
