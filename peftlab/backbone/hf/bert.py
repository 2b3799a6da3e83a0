"""The families of encoders with the norm behind each sub-layer: x <- norm1(x + attn(x)), x <- norm2(x + ffn(x))."""

from peftlab.backbone.hf.family import Family

USUAL = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}

BERT = Family(
    module="transformers.models.bert",
    config="BertConfig",
    model="BertModel",
    prefix="bert.",
    blocks="encoder.layer",
    linear={
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "out": "attention.output.dense",
        "mlp1": "intermediate.dense",
        "mlp2": "output.dense",
    },
    product="attention.self",
    attn=("attention.self", "attention.output.dropout"),
    ffn=("intermediate", "output.dropout"),
    act="intermediate.intermediate_act_fn",
    norm1="attention.output.LayerNorm",
    norm2="output.LayerNorm",
    reads_types=True,
    usual=USUAL,
)
# one type of token only; positions are counted from behind the number of the padding token
ROBERTA = BERT._replace(
    module="transformers.models.roberta",
    config="RobertaConfig",
    model="RobertaModel",
    prefix="roberta.",
    reads_types=False,
    counts_from_padding=True,
)
XLM_ROBERTA = ROBERTA._replace(
    module="transformers.models.xlm_roberta", config="XLMRobertaConfig", model="XLMRobertaModel"
)
DISTILBERT = Family(
    module="transformers.models.distilbert",
    config="DistilBertConfig",
    model="DistilBertModel",
    prefix="distilbert.",
    blocks="transformer.layer",
    linear={
        "q": "attention.q_lin",
        "k": "attention.k_lin",
        "v": "attention.v_lin",
        "out": "attention.out_lin",
        "mlp1": "ffn.lin1",
        "mlp2": "ffn.lin2",
    },
    product="attention",
    attn=("attention", "attention.out_lin"),  # the attention itself gives its map, too
    ffn=("ffn", "ffn"),
    act="ffn.activation",
    norm1="sa_layer_norm",
    norm2="output_layer_norm",
)
ENCODERS = {"bert": BERT, "roberta": ROBERTA, "xlm-roberta": XLM_ROBERTA, "distilbert": DISTILBERT}
