"""What is known of a family of Hugging Face models, as data: its classes, and the module of each place of a block."""

from typing import NamedTuple


class Family(NamedTuple):
    """Of the models of one `model_type`; modules are named from the block.

    `module` is that of transformers with the classes `config` and `model`, `prefix` what names of weights begin with in
    the file of a model with a head. `linear` has the position of every linear layer, `norm1` and `norm2` the norm behind
    the attention and behind the FFN. `product` is the module in which q, k and v meet; `attn` and `ffn` name the module
    whose input the sub-layer reads and the one that gives what it writes, before the residual sum. `act` gives the input
    of mlp2. `reads_types`: whether tokens of the second text of a pair have an embedding of their own.
    `counts_from_padding`: whether the first position is that behind the number of the padding token.
    """

    module: str
    config: str
    model: str
    prefix: str
    blocks: str
    linear: dict[str, str]
    product: str
    attn: tuple[str, str]
    ffn: tuple[str, str]
    act: str
    norm1: str
    norm2: str
    reads_types: bool
    counts_from_padding: bool = False
