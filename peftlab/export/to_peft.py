"""--to peft: a folder that Hugging Face PEFT loads on the same model of timm or transformers."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.hf.exported import has_turned_weights, in_library, library_state
from peftlab.backbone.plain import plain
from peftlab.export.affine import LowRank, affine
from peftlab.export.head import classifier_state, num_outputs, save_head, writes
from peftlab.export.in_front import CONFIG, WEIGHTS, is_in_front, write_in_front
from peftlab.export.in_front import reasons as in_front_reasons
from peftlab.export.merge import why_not_one_map
from peftlab.export.refuse import Reason, refuse
from peftlab.model.load import Trained
from peftlab.network.anchor import Anchor

PREFIX = "base_model.model."
Layers = dict[str, tuple[Tensor, Tensor]]  # (B, A) by module
LEGAL = (
    "low-rank updates beside linear layers (lora, dylora), a prefix or a soft prompt of a decoder that turns queries and keys, or"
    " --to timm, --to hf, --to adapter"
)


def to_peft(trained: Trained, folder: Path) -> dict[str, Any]:
    """adapter_config.json and adapter_model.safetensors; one LoRA per linear layer, gamma in B, lora_alpha / r = 1.

    Sites that write parts of one layer (q, k, v of a fused qkv) become one LoRA: A is theirs on top of each other, B has
    a block for each.

    What stands before a text of a decoder is in front there, too: see `peftlab.export.in_front`.

    Raises:
        UserError: if anything else was trained, or what PEFT does with it would not be the same.
    """
    if is_in_front(trained):
        refuse("peft", in_front_reasons(trained), LEGAL)
        save_head(trained, folder)
        return {"num_classes": num_outputs(trained), **write_in_front(trained, folder)}
    refuse("peft", reasons(trained), LEGAL)
    layers = _theirs(trained, _layers(trained))
    head = classifier_state(trained)
    tensors = {f"{PREFIX}{name}": value for name, value in head.items()}
    for name, (B, A) in layers.items():
        tensors |= {f"{PREFIX}{name}.lora_A.weight": A, f"{PREFIX}{name}.lora_B.weight": B}
    save_file(tensors, folder / WEIGHTS)
    ranks = {name: A.shape[0] for name, (_, A) in layers.items()}
    saved = sorted({name.rpartition(".")[0] for name in head})
    (folder / CONFIG).write_text(json.dumps(_config(trained, ranks, saved), indent=2) + "\n")
    save_head(trained, folder)
    return {"num_classes": num_outputs(trained), "lora": ranks}


def read_peft(trained: Trained, folder: Path) -> dict[str, Tensor]:
    """The frozen weights with what PEFT computes from the folder: W + B A, and the modules that it saves whole."""
    tensors = {name.removeprefix(PREFIX): value for name, value in load_file(folder / WEIGHTS).items()}
    state = {name: value.clone() for name, value in frozen_state(trained).items()}
    for name, value in tensors.items():
        module, _, end = name.partition(".lora_")
        if end == "B.weight":
            W = state[f"{module}.weight"]
            change = value @ tensors[f"{module}.lora_A.weight"]
            W += change.T if _is_turned(trained) else change
        elif not end:
            state[name] = value
    return state


def frozen_state(trained: Trained) -> dict[str, Tensor]:
    """Under the names of the library of the network, and in its layout."""
    own = {name: plain(value) for name, value in trained.model.backbone.state_dict().items()}
    return library_state(trained.backbone, own, writes(trained)) if _reads_texts(trained) else own


def _reads_texts(trained: Trained) -> bool:
    return trained.backbone.input_spec.noun == "texts"


def _is_turned(trained: Trained) -> bool:
    """Whether the layers of the library have weights as [d_in, d_out] (GPT-2)."""
    return _reads_texts(trained) and has_turned_weights(trained.backbone)


def _theirs(trained: Trained, layers: Layers) -> Layers:
    """The same by the names of the library of the network, with the outputs in its order."""
    if not _reads_texts(trained):
        return layers
    found = {}
    for own, (B, A) in layers.items():
        name, rows = in_library(trained.backbone, own, B, writes(trained))
        found[name] = rows, A
    return found


def _layers(trained: Trained) -> Layers:
    """(B, A) of every linear layer that has sites."""
    modules, scales = dict(trained.model.backbone.named_modules()), trained.model.gamma.scales()
    parts: dict[str, list[tuple[tuple[int, int], LowRank]]] = {}
    for anchor in trained.model.cell.anchors:
        width = trained.model.widths.get(anchor.site)
        form = affine(anchor.delta, scales.get(anchor.site, torch.ones(())), width)
        assert isinstance(form, LowRank)
        parts.setdefault(anchor.writes.module, []).append((anchor.writes.slice, form))
    result = {}
    for name, own in parts.items():
        module = modules[name]
        assert isinstance(module, nn.Linear)
        blocks = []
        for (index, count), form in own:
            block = torch.zeros(module.out_features, form.B.shape[1], dtype=torch.float64)
            block.chunk(count)[index].copy_(form.B)
            blocks.append(block)
        A = torch.cat([form.A for _, form in own])
        result[name] = (torch.cat(blocks, dim=1).float(), A.float())
    return result


def _config(trained: Trained, ranks: dict[str, int], saved: list[str]) -> dict[str, Any]:
    """Names are whole module names, which every version of PEFT matches with themselves alone."""
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {name: rank for name, rank in ranks.items() if rank != usual}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if writes(trained) else None,
        "base_model_name_or_path": trained.backbone.name,
        "inference_mode": True,
        "r": usual,
        "lora_alpha": usual,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": list(ranks),
        "modules_to_save": saved or None,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": _is_turned(trained),
        "use_rslora": False,
        "use_dora": False,
    }


def reasons(trained: Trained) -> Iterable[Reason]:
    """Why a run is no LoRA of Hugging Face PEFT: nothing if it is one."""
    model = trained.model
    if model.cell.selected.weights():
        yield Reason("selected weights", None, "PEFT would have to save whole layers")
    elif not model.cell.anchors:
        yield Reason("this run", None, "it has no low-rank update")
    modules = dict(model.backbone.named_modules())
    for anchor in model.cell.anchors:
        text = why_not_one_map(trained, anchor) or _why_no_lora(anchor, modules)
        if text is not None:
            yield Reason(type(anchor.delta).__name__, anchor.site, text)


def _why_no_lora(anchor: Anchor, modules: dict[str, nn.Module]) -> str | None:
    name = anchor.writes.module
    if not isinstance(affine(anchor.delta, torch.ones(())), LowRank):
        return "it is no low-rank update"
    if not isinstance(modules[name], nn.Linear):
        return "what it writes is not the output of a linear layer"
    if anchor.writes.side == "in" or anchor.reads.side == "out":
        return "it is not beside the layer, as PEFT's LoRA is"
    parent = modules[name.rpartition(".")[0]]
    if name.endswith(".qkv") and getattr(parent, "q_bias", None) is not None:
        return "timm takes the matrix out of this qkv and never calls it, so PEFT's LoRA would be left out"
    return None
