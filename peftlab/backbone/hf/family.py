"""What is known of a family of Hugging Face models, as data: its classes, and the module of each place of a block."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Family(NamedTuple):
    """Of the models of one `model_type`; modules are named from the block.

    `module` is that of transformers with the classes `config` and `model`, `prefix` what names of weights begin with in
    the file of a model with a head. `linear` has the position of every linear layer, `gated` those that stand in their place where
    an FFN has a gate, `fused` the layer that q, k and v are
    thirds of if they have none of their own; `norm1` and `norm2` are the norms of the attention and of the FFN (None: the
    FFN reads behind that of the attention), before the sub-layer if `norm_first`, else behind it. `product` is the module in
    which q, k and v meet; `attn` and `ffn` name the module whose input the sub-layer reads and the one that gives what it
    writes, before the residual sum. `act` gives the input of mlp2, None where more than that goes into it.
    `reads_types`: whether tokens of the second text of a pair have an embedding of their own. `counts_from_padding`: whether
    the first position is that behind the number of the padding token. `is_causal`: whether a token sees those before it alone;
    then `model` is that with the output embedding, and `rotary` makes what turns queries and keys out of positions, in the
    families that turn them; `relative` is the attention that makes the bias of the scores out of them, for all blocks of the first
    stack. `usual` are the keys of a config.json that have to be so, or the forward is another one.
    What belongs to no other place of a block belongs to norm1. Without `product`, `attn` and `ffn` a block has no attention and no
    FFN; `refused` says of a position why it is not there. `length` is how many tokens its models were trained on, of a family
    whose networks read texts of any length. `decoder` is a second stack of blocks, which reads what the first one gives in an
    attention of its own: `cross` is the module in which xq, xk and xv meet.
    """

    module: str
    config: str
    model: str
    prefix: str
    blocks: str
    linear: Mapping[str, str]
    norm1: str
    norm2: str | None
    product: str | None = None
    attn: tuple[str, str] | None = None
    ffn: tuple[str, str] | None = None
    act: str | None = None
    fused: str | None = None
    norm_first: bool = False
    reads_types: bool = False
    counts_from_padding: bool = False
    is_causal: bool = False
    rotary: str | None = None
    relative: str | None = None
    usual: Mapping[str, Any] = {}
    refused: Mapping[str, str] = {}
    gated: Mapping[str, str] = {}
    length: int | None = None
    cross: str | None = None
    decoder: "Family | None" = None

    @property
    def scores_words(self) -> bool:
        """Whether `model` has an output embedding."""
        return self.is_causal or self.decoder is not None
