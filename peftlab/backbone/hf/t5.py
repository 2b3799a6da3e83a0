"""The family of T5: an encoder and a decoder with the norm before each sub-layer, a bias by distance on the scores, which are not
divided by sqrt d_h, and no other bias."""

from peftlab.backbone.hf.family import Family

SELF = {
    "q": "layer.0.SelfAttention.q",
    "k": "layer.0.SelfAttention.k",
    "v": "layer.0.SelfAttention.v",
    "out": "layer.0.SelfAttention.o",
}
CROSS = {
    "xq": "layer.1.EncDecAttention.q",
    "xk": "layer.1.EncDecAttention.k",
    "xv": "layer.1.EncDecAttention.v",
    "xout": "layer.1.EncDecAttention.o",
}
ENCODER = Family(
    module="transformers.models.t5",
    config="T5Config",
    model="T5ForConditionalGeneration",
    prefix="",
    blocks="encoder.block",
    linear={**SELF, "mlp1": "layer.1.DenseReluDense.wi", "mlp2": "layer.1.DenseReluDense.wo"},
    gated={"mlp1": "layer.1.DenseReluDense.wi_1", "gate": "layer.1.DenseReluDense.wi_0"},
    product="layer.0.SelfAttention",
    attn=("layer.0.SelfAttention", "layer.0.SelfAttention.o"),  # the attention itself gives its bias, too
    ffn=("layer.1.DenseReluDense", "layer.1.DenseReluDense"),
    norm1="layer.0.layer_norm",
    norm2="layer.1.layer_norm",
    norm_first=True,
    relative="encoder.block.0.layer.0.SelfAttention",
    usual={"is_decoder": False, "is_encoder_decoder": True},
    length=512,  # Raffel et al. 2020, arXiv:1910.10683: trained on texts of so many tokens
)
DECODER = ENCODER._replace(
    blocks="decoder.block",
    linear={**SELF, **CROSS, "mlp1": "layer.2.DenseReluDense.wi", "mlp2": "layer.2.DenseReluDense.wo"},
    gated={"mlp1": "layer.2.DenseReluDense.wi_1", "gate": "layer.2.DenseReluDense.wi_0"},
    ffn=("layer.2.DenseReluDense", "layer.2.DenseReluDense"),
    norm2="layer.2.layer_norm",
    cross="layer.1.EncDecAttention",
)
T5 = ENCODER._replace(decoder=DECODER)
MT5 = T5._replace(
    module="transformers.models.mt5", config="MT5Config", model="MT5ForConditionalGeneration", length=1024
)  # Xue et al. 2021, arXiv:2010.11934
