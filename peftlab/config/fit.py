"""What a way of training goes with. Without torch."""

from peftlab.config.resolved import Resolved
from peftlab.dataset.reads import read_by
from peftlab.errors import UserError
from peftlab.fit.plan import check_plan


def check_fit(resolved: Resolved) -> None:
    """What is asked of training can be done together.

    Raises:
        UserError: for the first two that cannot.
    """
    check_plan(resolved.fit)
    _check_compile(resolved)
    _check_checkpointing(resolved)
    _check_mixing(resolved)
    _check_prograd(resolved)
    if resolved.fit.start_from is not None and resolved.placement.word in ("noah", "supernet"):
        raise UserError(
            f"fit.start_from={resolved.fit.start_from} with placement={resolved.placement.word}, which searches from nothing; legal:"
            " fit.start_from=null, or the placement of that run"
        )


def _check_compile(resolved: Resolved) -> None:
    if not resolved.fit.compile:
        return
    why = {"generate": "every batch has another number of tokens", "contrast": "two towers are no graph yet"}
    if resolved.task.word in why:
        raise UserError(
            f"fit.compile=true with task={resolved.task.word}: {why[resolved.task.word]}; legal: fit.compile=false"
        )
    if resolved.placement.word in ("noah", "supernet"):
        raise UserError(
            f"fit.compile=true with placement={resolved.placement.word}: every step has another graph; legal: fit.compile=false"
        )
    drawing = [part.path for part in resolved.parts if part.form.options.get("dropout")]
    if drawing:
        raise UserError(
            f"fit.compile=true cannot draw, and {drawing[0]} has dropout; legal: {drawing[0]}.dropout=0, or fit.compile=false"
        )


def _check_checkpointing(resolved: Resolved) -> None:
    if not resolved.fit.checkpointing:
        return
    if resolved.fit.compile:
        raise UserError(
            "fit.checkpointing=true with fit.compile=true, whose graph decides itself what it keeps; legal: one of them"
        )
    estimator = _other_than_direct(resolved)
    if estimator is not None:
        raise UserError(
            f"fit.checkpointing=true with scaling/estimator={estimator}, which differentiates twice, and blocks that run again"
            " can be differentiated once; legal: scaling/estimator=direct, or fit.checkpointing=false"
        )


def _other_than_direct(resolved: Resolved) -> str | None:
    """The estimator of a meta-learned gamma that goes back through training steps, if it has one."""
    estimator = resolved.scaling.options.get("estimator")
    return None if estimator is None or estimator.word == "direct" else str(estimator.word)


def _check_mixing(resolved: Resolved) -> None:
    if not resolved.fit.mixes:
        return
    key = "mixup" if resolved.fit.mixup else "cutmix"
    said = f"fit.{key}={getattr(resolved.fit, key):g}"
    if read_by(resolved.backbone) == "texts":
        raise UserError(f"{said} mixes images, and the backbone reads texts; legal: fit.{key}=0")
    if resolved.fit.compile:
        raise UserError(
            f"{said} with fit.compile=true, whose graph has one target for each item; legal: one of them"
        )
    estimator = _other_than_direct(resolved)
    if estimator is not None:
        raise UserError(
            f"{said} with scaling/estimator={estimator}, which takes the last steps again, on images as they are; legal:"
            f" scaling/estimator=direct, or fit.{key}=0"
        )


def _check_prograd(resolved: Resolved) -> None:
    if resolved.fit.prograd is None:
        return
    said = f"fit.prograd={resolved.fit.prograd:g}"
    if resolved.task.word == "generate" or resolved.head.options.get("init") == "random":
        subject = "task=generate" if resolved.task.word == "generate" else "head.init=random"
        raise UserError(
            f"{said} wants classes that the frozen network knows, which {subject} has none of; legal: task=contrast, or task=classify"
            " with head.init=class_mean"
        )
    if resolved.fit.compile:
        raise UserError(f"{said} with fit.compile=true, whose graph has one gradient; legal: one of them")
    estimator = _other_than_direct(resolved)
    if estimator is not None:
        raise UserError(
            f"{said} with scaling/estimator={estimator}, which takes the last steps again by the loss alone; legal:"
            " scaling/estimator=direct, or fit.prograd=null"
        )
