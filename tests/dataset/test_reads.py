"""A data set and a backbone of two kinds: one sentence that names both, before anything is read."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.configs import composed

from peftlab.config.resolve import resolve
from peftlab.dataset.reads import KINDS, check_frames, check_reads
from peftlab.errors import UserError
from peftlab.option import Choice

PICTURES = Choice("peftlab.dataset.image.dataset.image_dataset", {"name": "digits_lt"})
TEXTS = Choice("peftlab.dataset.text.dataset.text_dataset", {"name": "sst2"})
VIT = Choice("peftlab.backbone.timm.model.timm_model", {"name": "vit_tiny"})
BERT = Choice("peftlab.backbone.hf.model.hf_model", {"name": "all-MiniLM-L6-v2"})
OWN = Choice("mine.model.model", {})


def test_texts_with_a_backbone_of_images() -> None:
    with pytest.raises(UserError) as error:
        check_reads(TEXTS, VIT)
    assert str(error.value) == (
        "dataset=sst2 has texts, and backbone.name=vit_tiny reads images; legal: a data set of images, as"
        " dataset=digits_lt, or a backbone that reads texts, as backbone=minilm"
    )


def test_images_with_a_backbone_of_texts() -> None:
    with pytest.raises(UserError) as error:
        check_reads(PICTURES, BERT)
    assert str(error.value) == (
        "dataset=digits_lt has images, and backbone.name=all-MiniLM-L6-v2 reads texts; legal: a data set of texts, as"
        " dataset=trec_lt, or a backbone that reads images, as backbone=vit_tiny_patch8_32"
    )


def test_clips_are_read_by_what_reads_images() -> None:
    clips = Choice("peftlab.dataset.video.dataset.video_dataset", {"name": "moving_digits"})
    check_reads(clips, VIT)
    check_reads(clips, OWN, read="images")
    with pytest.raises(
        UserError, match=r"^dataset=moving_digits has clips, and backbone\.name=\S+ reads texts; "
    ):
        check_reads(clips, BERT)
    check_frames(clips, "peft (st_adapter)")
    check_frames(PICTURES, None)
    check_frames(OWN, "peft (st_adapter)")
    for other, noun in ((PICTURES, "images"), (TEXTS, "texts")):
        with pytest.raises(
            UserError, match=rf"acts over the frames of clips, and dataset=\S+ has {noun}; legal: "
        ):
            check_frames(other, "peft (st_adapter)")


def test_clips_are_not_compared_with_texts() -> None:
    with pytest.raises(
        UserError, match=r"^task=contrast compares images with texts, and dataset=moving_digits has clips; "
    ):
        resolve(composed("task=contrast", "dataset=moving_digits", "backbone=duo"))


@pytest.mark.parametrize(
    ("dataset", "backbone"), [(PICTURES, VIT), (TEXTS, BERT), (OWN, BERT), (TEXTS, OWN), (OWN, OWN)]
)
def test_what_fits_or_is_not_known(dataset: Choice, backbone: Choice) -> None:
    check_reads(dataset, backbone)


@pytest.mark.parametrize(
    ("dataset", "backbone", "told", "is_wrong"),
    [
        (TEXTS, OWN, {"read": "images"}, True),
        (TEXTS, OWN, {"read": "texts"}, False),
        (TEXTS, OWN, {"read": None}, False),
        (OWN, OWN, {"given": "images", "read": "texts"}, True),
        (OWN, OWN, {"given": "signals", "read": "images"}, False),
    ],
)
def test_what_they_say_themselves(
    dataset: Choice, backbone: Choice, told: dict[str, Any], is_wrong: bool
) -> None:
    """A backbone of one's own says it with its spec, data of one's own with their items."""
    if not is_wrong:
        check_reads(dataset, backbone, **told)
        return
    with pytest.raises(UserError, match=" reads "):
        check_reads(dataset, backbone, **told)


def test_it_is_said_before_anything_is_read(tmp_path: Any) -> None:
    with pytest.raises(
        UserError, match=r"^dataset=text_hub has texts, and backbone\.name=\S+ reads images; legal: "
    ):
        resolve(composed("dataset=text_hub", f"dataset.path={tmp_path}"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_proposed_exists(kind: str) -> None:
    target = composed(KINDS[kind][2])["dataset"]["_target_"]
    assert target.startswith(KINDS[kind][0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task=generate", "dataset=trec_lt"), "task=generate does not go with dataset=trec_lt, which has classes; legal: task=classify"),
        (("task=generate",), "task=generate does not go with dataset=digits_lt, which has classes; legal: task=classify"),
        (("dataset=svamp",), "task=classify does not go with dataset=svamp, which has answers; legal: task=generate, or another"),
        (("task=generate", "dataset=svamp", "head=cosine"), "head=cosine does not go with task=generate; legal: head=unembedding"),
        (("dataset=trec_lt", "head=unembedding"), "head=unembedding does not go with task=classify; legal: head=cosine, linear"),
        (
            ("task=generate", "dataset=svamp", "loss=logit_adjusted"),
            "loss=logit_adjusted is over classes, and task=generate gives tokens; legal: loss=cross_entropy",
        ),
        (("task=generate", "dataset=svamp", "fit.compile=true"), "fit.compile=true with task=generate: every batch has"),
        (("task=generate", "dataset=svamp", "peft=mask_fisher"), "peft=mask_fisher scores weights by every class, and task=generate"),
    ],
)  # fmt: skip
def test_a_task_without_what_it_needs(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    backbone = "backbone=tiny" if words == ("task=generate",) else "backbone=tiny_causal"
    path = () if words == ("task=generate",) else (f"dataset.path={tmp_path}",)
    with pytest.raises(UserError) as error:
        resolve(composed(backbone, *words, *path, "device=cpu"))
    assert str(error.value).startswith(said)


def test_a_task_chooses_its_head_and_loss_and_a_typed_choice_wins() -> None:
    config = composed("task=generate", "dataset=svamp")
    assert config["head"]["_target_"].endswith(".Unembedding")
    assert config["loss"]["_target_"].endswith(".cross_entropy")
    config = composed("task=generate", "dataset=svamp", "head=linear", "loss=logit_adjusted")
    assert config["head"]["_target_"].endswith(".Linear")
    assert config["loss"]["_target_"].endswith(".logit_adjusted")
