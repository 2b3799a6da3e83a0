"""The classes that a backbone of two towers compares images with, as the method of a run writes them."""

from collections.abc import Sequence

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.class_texts import class_texts, context_texts
from peftlab.backbone.pair import with_texts
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.peft.part import Part
from peftlab.peft.view import Words

PLACEHOLDER = "x"  # for a token that is learned from nothing


def with_classes(
    resolved: Resolved, backbone: Backbone, words: Sequence[str], templates: Sequence[str]
) -> Backbone:
    """The backbone between images and classes of these names, in the texts of a method that learns them, or else in templates.

    Raises:
        UserError: for a backbone of one tower, and a text that is too long for it.
    """
    if not backbone.towers:
        raise UserError(
            f"task=contrast compares images with the names of classes, and {backbone.name} has one tower; legal: backbone=duo,"
            " open_clip or hf_clip"
        )
    part = context_of(resolved)
    if part is None:
        return with_templates(backbone, words, templates)
    spec = backbone.towers[1].text_spec("task=contrast")
    options = part.form.options
    said = options["words"] or " ".join([PLACEHOLDER] * options["num_tokens"])
    per_image = part.insertion == "conditional"
    return with_texts(backbone, context_texts(spec, list(words), said, options["place"], per_image=per_image))


def with_templates(backbone: Backbone, words: Sequence[str], templates: Sequence[str]) -> Backbone:
    """A backbone of two towers between images and classes of these names, in these texts.

    Raises:
        UserError: for a text that is too long for it.
    """
    spec = backbone.towers[1].text_spec("task=contrast")
    texts = [[text.format(name) for text in templates] for name in words]
    return with_texts(backbone, class_texts(spec, texts))


def example_classes(resolved: Resolved, backbone: Backbone, num_classes: int) -> Backbone:
    """With so many classes that say nothing, where the task compares images with classes; else the backbone as it is."""
    if resolved.task.word != "contrast":
        return backbone
    return with_classes(resolved, backbone, [str(index) for index in range(num_classes)], ["{}"])


def context_of(resolved: Resolved) -> Part | None:
    """The part of a method that learns the tokens around the name of a class.

    Raises:
        UserError: for two.
    """
    found = [part for part in resolved.parts if "context" in part.positions]
    if len(found) > 1:
        raise UserError(
            f"{found[0].path} and {found[1].path} both learn the texts of the classes; legal: one of them"
        )
    return found[0] if found else None


def words_at(backbone: Backbone, part: Part) -> Words | None:
    """What stands at the context, for the forms that learn it."""
    texts = backbone.texts
    if "context" not in part.positions or texts is None or texts.words is None:
        return None
    site = next(site for site in backbone.places if site.position == "context")
    table = backbone.model.get_submodule(backbone.place(site).output.module).get_parameter("weight")
    if table.is_meta:
        return Words(torch.zeros(len(texts.words), table.shape[1]), texts.num_classes)
    return Words(table.detach()[texts.words.to(table.device)].cpu(), texts.num_classes)
