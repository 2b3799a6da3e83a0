import pytest
import torch
from torch import nn

from peftlab.backbone.plain import is_int8, plain


def test_a_weight_in_fp32_is_its_own_numbers():
    weight = nn.Parameter(torch.randn(3, 2))
    assert plain(weight) is weight
    assert not is_int8(weight)


def test_a_weight_in_int8_is_a_whole_number_times_the_scale_of_its_row():
    quantization = pytest.importorskip("torchao.quantization", reason="peftlab[quantise] is not installed")
    layer = nn.Sequential(nn.Linear(2, 3)).requires_grad_(False)
    quantization.quantize_(layer, quantization.Int8WeightOnlyConfig())
    weight = layer[0].weight
    assert is_int8(weight)
    assert torch.equal(plain(weight), weight.qdata.float() * weight.scale)
