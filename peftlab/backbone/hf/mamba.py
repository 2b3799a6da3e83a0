"""The family of state spaces without attention: x <- x + out(scan(x, dt, B, C) * silu(z)), behind one norm."""

from peftlab.backbone.hf.family import Family

NO_ATTENTION = "its blocks have no attention"
NO_FFN = "its blocks have no FFN"
MAMBA = Family(
    module="transformers.models.mamba",
    config="MambaConfig",
    model="MambaForCausalLM",
    prefix="backbone.",
    blocks="layers",
    linear={
        "in": "mixer.in_proj",
        "x": "mixer.x_proj",
        "dt": "mixer.dt_proj.linear",  # see layout.py
        "out": "mixer.out_proj",
    },
    norm1="norm",
    norm2=None,
    norm_first=True,
    is_causal=True,
    refused={
        **dict.fromkeys(("q", "k", "v", "attn", "kv"), NO_ATTENTION),
        **dict.fromkeys(("mlp1", "gate", "mlp2", "ffn"), NO_FFN),
    },
    length=2048,  # Gu and Dao 2023, arXiv:2312.00752: trained on texts of the Pile of so many tokens
)
