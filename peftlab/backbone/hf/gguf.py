"""A language model of the Llama family in a GGUF file, as llama.cpp keeps it: its config, its weights, its tokenizer."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from peftlab.errors import UserError

BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
AROUND = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}
CONTROL = 3  # the type of a token that no text holds
DIGITS = ("smollm", "starcoder", "refact", "command-r")  # tokenizers that take each digit for itself


class Gguf(NamedTuple):
    """`config` and `words` are what config.json and tokenizer_config.json say, `tokenizer` the text of tokenizer.json."""

    config: dict[str, Any]
    state: dict[str, Tensor]
    tokenizer: str
    words: dict[str, Any]


def read_gguf(file: Path) -> Gguf:
    """All of a file, its quantised weights in fp32 under the names of transformers.

    llama.cpp turns neighbours (0, 1), (2, 3), ... of a query or key, and transformers the two halves of a head, so the rows of
    q and k stand in another order there. Source: `permute` of its convert_hf_to_gguf.py, here reversed.

    Raises:
        UserError: for a model of another family, or with a tokenizer of another kind.
    """
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(file)
    given = {name: field.contents() for name, field in reader.fields.items()}
    if given["general.architecture"] != "llama" or given["tokenizer.ggml.model"] != "gpt2":
        raise UserError(
            f"{file} holds a {given['general.architecture']} with a tokenizer {given['tokenizer.ggml.model']}; legal: a llama"
            " with a gpt2"
        )
    heads = {"q_proj": given["llama.attention.head_count"], "k_proj": given["llama.attention.head_count_kv"]}
    state = {}
    for tensor in reader.tensors:
        name = _name(tensor.name)
        value = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        num_heads = heads.get(name.split(".")[-2])
        state[name] = value if num_heads is None else _halves(value, num_heads)
    return Gguf(
        _config(given, is_tied="lm_head.weight" not in state), state, _tokenizer(given), _words(given)
    )


def _name(name: str) -> str:
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`."""
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{BLOCK[parts[2]]}.{parts[3]}"
    return f"{AROUND[parts[0]]}.{parts[1]}"


def _halves(value: Tensor, num_heads: int) -> Tensor:
    """The rows of each head by first and second of a pair, and then by pair."""
    return value.unflatten(0, (num_heads, -1, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def _config(given: dict[str, Any], *, is_tied: bool) -> dict[str, Any]:
    own = {key.removeprefix("llama."): value for key, value in given.items() if key.startswith("llama.")}
    theta = float(own["rope.freq_base"])
    num_heads = own["attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": own["embedding_length"],
        "intermediate_size": own["feed_forward_length"],
        "num_hidden_layers": own["block_count"],
        "num_attention_heads": num_heads,
        "num_key_value_heads": own["attention.head_count_kv"],
        "head_dim": own.get("rope.dimension_count", own["embedding_length"] // num_heads),
        "max_position_embeddings": own["context_length"],
        "rms_norm_eps": float(
            f"{own['attention.layer_norm_rms_epsilon']:.6g}"
        ),  # it is kept in single precision
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "vocab_size": len(given["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": is_tied,
        "attention_bias": False,
        "mlp_bias": False,
        "dtype": "float32",
        **{f"{key}_token_id": given.get(f"tokenizer.ggml.{name}_token_id") for key, name in SPECIAL.items()},
    }


def _tokenizer(given: dict[str, Any]) -> str:
    """Byte-pair encoding of bytes; control tokens are found in a text before anything else."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens, kinds = given["tokenizer.ggml.tokens"], given["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in given["tokenizer.ggml.merges"]]
    made: Any = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    space = bool(given.get("tokenizer.ggml.add_space_prefix", False))
    cuts: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=space, use_regex=True)]
    if given.get("tokenizer.ggml.pre") in DIGITS:
        cuts.insert(0, pre_tokenizers.Digits(individual_digits=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(cuts)
    made.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return json.dumps(json.loads(made.to_str()), ensure_ascii=False)


def _words(given: dict[str, Any]) -> dict[str, Any]:
    tokens = given["tokenizer.ggml.tokens"]
    numbers = {key: given.get(f"tokenizer.ggml.{name}_token_id") for key, name in SPECIAL.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": given["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        **{f"{key}_token": tokens[number] for key, number in numbers.items() if number is not None},
        "chat_template": given.get("tokenizer.chat_template"),
    }
