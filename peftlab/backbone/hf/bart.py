"""The family of BART: an encoder as BERT's, and a decoder that reads what the encoder gives, with the norm behind each sub-layer."""

from peftlab.backbone.hf.family import Family

LAYERS = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "out": "self_attn.out_proj",
    "mlp1": "fc1",
    "mlp2": "fc2",
}
ENCODER = Family(
    module="transformers.models.bart",
    config="BartConfig",
    model="BartForConditionalGeneration",
    prefix="model.",
    blocks="encoder.layers",
    linear=LAYERS,
    product="self_attn",
    attn=("self_attn", "self_attn.out_proj"),
    ffn=("fc1", "fc2"),
    norm1="self_attn_layer_norm",
    norm2="final_layer_norm",
    usual={"is_decoder": False, "is_encoder_decoder": True},
)
DECODER = ENCODER._replace(
    blocks="decoder.layers",
    linear={
        **LAYERS,
        "xq": "encoder_attn.q_proj",
        "xk": "encoder_attn.k_proj",
        "xv": "encoder_attn.v_proj",
        "xout": "encoder_attn.out_proj",
    },
    cross="encoder_attn",
)
BART = ENCODER._replace(decoder=DECODER)
