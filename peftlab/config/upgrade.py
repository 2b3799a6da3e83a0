"""Configs of run folders that an earlier peftlab wrote, as this one reads them.

Format 1 is the first house's, which wrote no `format`. What a later change moves or renames belongs into the tables here.
"""

from typing import Any

from peftlab.config.registry import targets_of
from peftlab.config.signature import signature
from peftlab.errors import UserError

FORMAT = 2  # of config.yaml and result.json of a run
WRITERS = {1: "peftlab 0.1, which wrote no format", 2: "this peftlab or one much like it"}
# every `_target_` that format 1 has under another name
MOVED = {
    "peftlab.backbone.timm_model.timm_model": "peftlab.backbone.timm.model.timm_model",
    "peftlab.bilevel.direct.direct": "peftlab.scaling.estimator.direct.direct",
    "peftlab.bilevel.implicit.implicit": "peftlab.scaling.estimator.implicit.implicit",
    "peftlab.bilevel.outer.Outer": "peftlab.scaling.plan.OuterPlan",
    "peftlab.bilevel.unrolled.unrolled": "peftlab.scaling.estimator.unrolled.unrolled",
    "peftlab.dataset.dataset.dataset": "peftlab.dataset.image.dataset.image_dataset",
    "peftlab.dataset.digits.digits": "peftlab.dataset.source.digits.digits",
    "peftlab.dataset.hub.hub": "peftlab.dataset.source.hub.hub",
    "peftlab.dataset.image_folder.image_folder": "peftlab.dataset.source.image_folder.image_folder",
    "peftlab.fit.Plan": "peftlab.fit.plan.Plan",
    "peftlab.peft.bitfit.bitfit": "peftlab.peft.bitfit.Bitfit",
    "peftlab.peft.full.full": "peftlab.peft.full.Full",
    "peftlab.peft.layernorm.layernorm": "peftlab.peft.layernorm.LayerNorm",
    "peftlab.peft.linear_probe.linear_probe": "peftlab.peft.linear_probe.LinearProbe",
    "peftlab.peft.mask_fisher.mask_fisher": "peftlab.peft.mask.mask_fisher.MaskFisher",
    "peftlab.peft.mask_heads.mask_heads": "peftlab.peft.mask.mask_heads.MaskHeads",
    "peftlab.peft.mask_magnitude.mask_magnitude": "peftlab.peft.mask.mask_magnitude.MaskMagnitude",
    "peftlab.peft.mask_neurons.mask_neurons": "peftlab.peft.mask.mask_neurons.MaskNeurons",
    "peftlab.peft.mask_random.mask_random": "peftlab.peft.mask.mask_random.MaskRandom",
}

# keys that a `_target_` has since, with what was done before there was a choice
SINCE: dict[str, dict[str, Any]] = {
    "peftlab.backbone.hf.model.hf_model": {"quantise": None},
    "peftlab.backbone.hf_clip.model.hf_clip": {"quantise": None},
    "peftlab.backbone.open_clip.model.open_clip_model": {"quantise": None},
    "peftlab.backbone.timm.model.timm_model": {"quantise": None},
    "peftlab.fit.plan.Plan": {
        "stop_after": None,
        "compile": False,
        "checkpointing": False,
        "sampler": "uniform",
        "ema": None,
        "mixup": 0.0,
        "cutmix": 0.0,
        "prograd": None,
        "start_from": None,
    },
    "peftlab.dataset.source.image_folder.image_folder": {"follow_links": True},
    "peftlab.dataset.image.dataset.image_dataset": {
        "views": None,
        "views_expand": None,
        "views_num": None,
        "class_names": None,
        "templates": [],
        "classes": "all",
        "val_max_per_class": None,
        "test_max_per_class": None,
        "shift": None,
        "shift_severity": 3,
    },
    "peftlab.dataset.text.answers.answer_dataset": {"group_by_length": False, "test_max_per_class": None},
    "peftlab.dataset.text.dataset.text_dataset": {"group_by_length": False, "test_max_per_class": None},
    "peftlab.dataset.video.dataset.video_dataset": {"test_max_per_class": None},
    "peftlab.loss.cross_entropy.cross_entropy": {"label_smoothing": 0.0},
    "peftlab.scaling.gated.gated": {"reads": "site"},
    "peftlab.scaling.plan.OuterPlan": {"dropout": True},
    "peftlab.task.classify.Classify": {"centres": False},
    "peftlab.task.contrast.Contrast": {"tpt_views": None, "tpt_lr": 5e-3, "tpt_share": 0.1},
}


def upgraded(config: dict[str, Any], folder: object) -> dict[str, Any]:
    """The config of `folder` in the words of this peftlab, without its `format`, and trusting nobody: who reads it decides that.

    Raises:
        UserError: for a format that this peftlab does not know, or a `_target_` that it does not have.
    """
    number = format_of(config, folder)
    result: dict[str, Any] = {key: value for key, value in config.items() if key != "format"} | {"trust": []}
    if number == 1:
        result = _completed(_moved(result))
    result = _since(result)
    for _, target in targets_of(result):
        try:
            signature(str(target))
        except LookupError as error:
            foreign = isinstance(target, str) and not target.startswith("peftlab.")
            own = ", or have the package of your own on PYTHONPATH and name it with --trust PACKAGE" * foreign
            raise UserError(
                f"{folder}: config.yaml has _target_={target}, which this peftlab does not have; it was written by"
                f" {WRITERS[number]}: read it with that one, or run the same command again with this one{own}"
            ) from error
    return result


def format_of(saved: dict[str, Any], folder: object) -> int:
    """The format of a config or a result in `folder`.

    Raises:
        UserError: if it is none that this peftlab reads.
    """
    number = saved.get("format", 1)
    if number not in WRITERS or isinstance(number, bool):
        raise UserError(
            f"{folder} has format={number}, which another, newer peftlab wrote; legal: format 1 to {FORMAT} with this one,"
            " so pip install --upgrade peftlab"
        )
    return int(number)


def _moved(node: Any) -> Any:
    """The same tree, every `_target_` in it under its new name, and without Hydra's word for a function with its options."""
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _moved(value) for key, value in node.items() if key != "_partial_"}
    if isinstance(node.get("_target_"), str):
        result["_target_"] = MOVED.get(node["_target_"], node["_target_"])
    return result


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """With the keys that are new since format 1, as what it did without them: one decay for all that is trained."""
    result = {**config, "task": {"_target_": "peftlab.task.classify.Classify"}}
    optim = config.get("optim")
    if isinstance(optim, dict) and "weight_decay" in optim:
        result["optim"] = {**optim, **dict.fromkeys(("gate_decay", "selected_decay"), optim["weight_decay"])}
    return result


def _since(node: Any) -> Any:
    """The same tree, every choice in it with the keys that it lacks of SINCE."""
    if isinstance(node, list):
        return [_since(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {**SINCE.get(str(node.get("_target_")), {}), **{key: _since(value) for key, value in node.items()}}
