"""--to peft for what stands before a text: PREFIX_TUNING and PROMPT_TUNING of Hugging Face PEFT."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.hf.front import Fronted, turned, why_not_in_front
from peftlab.dataset.text.dataset import used_length
from peftlab.export.head import writes
from peftlab.export.refuse import Reason
from peftlab.model.load import Trained
from peftlab.network.anchor import Anchor
from peftlab.peft.prefix import Prefix
from peftlab.peft.prompt import Prompt

CONFIG, WEIGHTS, KEY = "adapter_config.json", "adapter_model.safetensors", "prompt_embeddings"


def is_in_front(trained: Trained) -> bool:
    """Whether a run on texts has trained prefixes, or prompts, and nothing else beside its head."""
    cell = trained.model.cell
    kinds = {type(anchor.delta) for anchor in cell.anchors}
    is_alone = kinds in ({Prefix}, {Prompt}) and not cell.selected.weights()
    return is_alone and trained.backbone.input_spec.noun == "texts"


def num_prompts(trained: Trained) -> int:
    """How many of what the network gives stand before the text: those of prompts."""
    front = trained.model.cell.anchors[0].delta if is_in_front(trained) else None
    return len(front.P) if isinstance(front, Prompt) else 0


def reasons(trained: Trained) -> Iterable[Reason]:
    """Why what stands before a text is none of PEFT's: nothing if it is."""
    cell, backbone = trained.model.cell, trained.backbone
    anchors = list(cell.anchors)
    name, lengths = type(anchors[0].delta).__name__, sorted({_length(anchor) for anchor in anchors})
    spec = backbone.text_spec("--to peft")
    why = why_not_in_front(backbone, lengths[-1], used_length(spec, _max_length(trained)))
    if why is not None:
        yield Reason(name, None, why)
    for anchor in anchors:
        text = (
            "its gate depends on the input"
            if cell.gate_at(anchor.site) is not None
            else _why_not(trained, anchor)
        )
        if text is not None:
            yield Reason(name, anchor.site, text)
    placed = {anchor.site.block for anchor in anchors}
    lacking = [label for block, label in enumerate(backbone.labels) if block not in placed]
    if name == "Prefix" and lacking:
        yield Reason(name, None, f"PEFT has one in every block, and {', '.join(lacking)} has none")
    if name == "Prefix" and len(lengths) > 1:
        yield Reason(name, None, f"PEFT has one length, and these are {', '.join(map(str, lengths))}")


def _why_not(trained: Trained, anchor: Anchor) -> str | None:
    if isinstance(anchor.delta, Prefix):
        scale = trained.model.gamma.scales().get(anchor.site, torch.ones(()))
        is_whole = bool((scale == 1).all())
        return None if is_whole else "its scale is not 1, and no keys and values are a part of a prefix"
    if anchor.site.block != 0:
        return "PEFT has prompts before the first block alone"
    return None if getattr(anchor.delta, "travels", False) else "it leaves behind its own block"


def _length(anchor: Anchor) -> int:
    assert isinstance(anchor.delta, Prefix | Prompt)
    return anchor.delta.width


def _max_length(trained: Trained) -> int | None:
    found: int | None = trained.resolved.dataset.options["max_length"]
    return found


def write_in_front(trained: Trained, folder: Path) -> dict[str, Any]:
    """adapter_config.json and adapter_model.safetensors of a run without `reasons`; how many stand before a text, for the card.

    PEFT's keys stand in the cache as they are, with the text behind them: a key of a prefix, which has no position, is turned by
    the length. The factor of prompts is in them.
    """
    front = _prefix(trained) if isinstance(trained.model.cell.anchors[0].delta, Prefix) else _prompts(trained)
    kind = "PROMPT_TUNING" if num_prompts(trained) else "PREFIX_TUNING"
    save_file({KEY: front.float().contiguous()}, folder / WEIGHTS)
    config = {
        "peft_type": kind,
        "task_type": "CAUSAL_LM" if writes(trained) else "FEATURE_EXTRACTION",
        "base_model_name_or_path": trained.backbone.name,
        "inference_mode": True,
        "num_virtual_tokens": len(front),
        "num_transformer_submodules": 1,
        "num_attention_heads": _num_heads(trained),
        "num_layers": len(trained.backbone.blocks),
    }
    more: dict[str, Any] = {"token_dim": front.shape[1], "prompt_tuning_init": "RANDOM"}
    if kind == "PREFIX_TUNING":
        width = front.shape[1] // (2 * len(trained.backbone.blocks))
        more = {"token_dim": width, "encoder_hidden_size": width, "prefix_projection": False}
    (folder / CONFIG).write_text(json.dumps({**config, **more}, indent=2) + "\n")
    return {"prompts" if num_prompts(trained) else "prefix": len(front)}


def read_in_front(trained: Trained, network: nn.Module, folder: Path) -> Fronted:
    """A network with the frozen weights, as PEFT has it read texts from the folder."""
    new_cache = None if num_prompts(trained) else trained.backbone.new_cache
    return Fronted(network, load_file(folder / WEIGHTS)[KEY], new_cache, _num_heads(trained))


def _num_heads(trained: Trained) -> int:
    """Of keys."""
    return trained.backbone.num_key_heads(0)


def _prefix(trained: Trained) -> Tensor:
    """`[length, blocks * 2 * width]`: keys and values of each block in turn."""
    rows: list[Tensor] = []
    for anchor in sorted(trained.model.cell.anchors, key=lambda anchor: anchor.site.block):
        assert isinstance(anchor.delta, Prefix)
        keys, values = anchor.delta.vectors().detach()
        heads = keys.unflatten(-1, (trained.backbone.num_key_heads(anchor.site.block), -1))
        rows += [turned(trained.backbone, heads, len(keys)).flatten(-2), values]
    return torch.cat(rows, dim=1)


def _prompts(trained: Trained) -> Tensor:
    """`[num_tokens, width]`."""
    (anchor,) = trained.model.cell.anchors
    assert isinstance(anchor.delta, Prompt)
    scale = trained.model.gamma.scales().get(anchor.site, torch.ones(()))
    return anchor.delta.P.detach() * scale.detach()
