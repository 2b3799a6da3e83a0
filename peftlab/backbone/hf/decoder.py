"""The families of decoders without an encoder, with the norm before each sub-layer.

x <- x + attn(norm1(x)), x <- x + ffn(norm2(x)); GPT-J and most of GPT-NeoX add both to one x, GPT-J behind one norm.
"""

from peftlab.backbone.hf.family import Family

LLAMA = Family(
    module="transformers.models.llama",
    config="LlamaConfig",
    model="LlamaForCausalLM",
    prefix="model.",
    blocks="layers",
    linear={
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "out": "self_attn.o_proj",
        "mlp1": "mlp.up_proj",
        "gate": "mlp.gate_proj",
        "mlp2": "mlp.down_proj",
    },
    product="self_attn",
    attn=("self_attn", "self_attn.o_proj"),  # the attention itself gives its map, too
    ffn=("mlp", "mlp"),
    norm1="input_layernorm",
    norm2="post_attention_layernorm",
    norm_first=True,
    is_causal=True,
    rotary="rotary_emb",
)
QWEN2 = LLAMA._replace(module="transformers.models.qwen2", config="Qwen2Config", model="Qwen2ForCausalLM")
MISTRAL = LLAMA._replace(
    module="transformers.models.mistral", config="MistralConfig", model="MistralForCausalLM"
)
GPT2 = Family(
    module="transformers.models.gpt2",
    config="GPT2Config",
    model="GPT2LMHeadModel",
    prefix="transformer.",
    blocks="h",
    linear={"out": "attn.c_proj", "mlp1": "mlp.c_fc", "mlp2": "mlp.c_proj"},
    fused="attn.c_attn",
    product="attn",
    attn=("attn", "attn.c_proj"),
    ffn=("mlp", "mlp"),
    act="mlp.act",
    norm1="ln_1",
    norm2="ln_2",
    norm_first=True,
    is_causal=True,
    usual={"add_cross_attention": False},
)
GPTJ = Family(
    module="transformers.models.gptj",
    config="GPTJConfig",
    model="GPTJForCausalLM",
    prefix="transformer.",
    blocks="h",
    linear={
        "q": "attn.q_proj",
        "k": "attn.k_proj",
        "v": "attn.v_proj",
        "out": "attn.out_proj",
        "mlp1": "mlp.fc_in",
        "mlp2": "mlp.fc_out",
    },
    product="attn",
    attn=("attn", "attn.out_proj"),
    ffn=("mlp", "mlp"),
    act="mlp.act",
    norm1="ln_1",
    norm2=None,
    norm_first=True,
    is_causal=True,
    rotary="rotary_emb",
)
GPT_NEOX = Family(
    module="transformers.models.gpt_neox",
    config="GPTNeoXConfig",
    model="GPTNeoXForCausalLM",
    prefix="gpt_neox.",
    blocks="layers",
    linear={"out": "attention.dense", "mlp1": "mlp.dense_h_to_4h", "mlp2": "mlp.dense_4h_to_h"},
    fused="attention.query_key_value.fused",  # see layout.py
    product="attention",
    attn=("attention", "attention.dense"),
    ffn=("mlp", "mlp"),
    act="mlp.act",
    norm1="input_layernorm",
    norm2="post_attention_layernorm",
    norm_first=True,
    is_causal=True,
    rotary="rotary_emb",
)
OPT = Family(
    module="transformers.models.opt",
    config="OPTConfig",
    model="OPTForCausalLM",
    prefix="model.decoder.",
    blocks="layers",
    linear={
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "out": "self_attn.out_proj",
        "mlp1": "fc1",
        "mlp2": "fc2",
    },
    product="self_attn",
    attn=("self_attn", "self_attn.out_proj"),
    ffn=("fc1", "fc2"),
    act="activation_fn",
    norm1="self_attn_layer_norm",
    norm2="final_layer_norm",
    norm_first=True,
    is_causal=True,
    usual={"do_layer_norm_before": True},
)
DECODERS = {
    "llama": LLAMA,
    "qwen2": QWEN2,
    "mistral": MISTRAL,
    "gpt2": GPT2,
    "gptj": GPTJ,
    "gpt_neox": GPT_NEOX,
    "opt": OPT,
}
