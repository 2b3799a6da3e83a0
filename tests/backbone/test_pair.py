"""Two towers as one network, against the towers called by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from fixtures.duo import NAMES, image_vectors, looked_up, pair_of, pictures, text_vectors

from peftlab.backbone.class_texts import class_texts
from peftlab.backbone.pair import pair, with_texts
from peftlab.errors import UserError
from peftlab.site import Site

SCALE = 10.0


def test_scores_are_scaled_cosines_of_what_the_towers_give() -> None:
    made = pair_of("peft=linear_probe")
    images = pictures(3)
    wanted = (
        SCALE
        * image_vectors(made.backbone, images)
        @ text_vectors(made.backbone, *looked_up(made.backbone)).T
    )
    torch.testing.assert_close(made.logits(images), wanted)
    assert wanted.std() > 0.1


def test_several_texts_of_a_class_are_averaged_as_directions() -> None:
    templates = ("{}.", "a photo of a {}, in the rain", "the {}")
    apart = [pair_of("peft=linear_probe", templates=(text,)) for text in templates]
    made = pair_of("peft=linear_probe", templates=templates)
    mean = sum(text_vectors(one.backbone, *looked_up(one.backbone)) for one in apart) / 3
    images = pictures(2)
    wanted = SCALE * image_vectors(made.backbone, images) @ (mean / mean.norm(dim=-1, keepdim=True)).T
    torch.testing.assert_close(made.logits(images), wanted)


def test_without_texts_it_gives_the_vectors_of_images() -> None:
    made = pair_of("peft=linear_probe")
    plain = made.resolved.backbone()
    images = torch.randn(2, 3, 32, 32)
    found = plain.features({"images": images})
    assert found.shape == (2, 16)
    torch.testing.assert_close(found / found.norm(dim=-1, keepdim=True), image_vectors(plain, images))


def test_labels_and_places_of_both_towers() -> None:
    backbone = pair_of("peft=linear_probe").backbone
    assert backbone.labels == ("image.0", "image.1", "text.0", "text.1")
    modules = dict(backbone.model.named_modules())
    parameters = dict(backbone.model.named_parameters())
    for site, place in backbone.places.items():
        tower = "image" if site.block < 2 else "text"
        for port in (place.input, place.output):
            assert port.module in modules
            assert port.module.startswith((f"{tower}.", f"{tower}_vector"))
        assert all(name in parameters for name, _ in place.parameters)
    assert Site(1, "proj") in backbone.places
    assert [site for site in backbone.places if site.position == "vector"] == [
        Site(1, "vector"),
        Site(3, "vector"),
    ]
    assert Site(2, "context") in backbone.places
    assert Site(0, "context") not in backbone.places
    inside = {name for place in backbone.places.values() for name, _ in place.parameters}
    assert inside | set(backbone.outside) == set(parameters)


def test_another_class_changes_nothing_of_the_others() -> None:
    images = pictures(2)
    for method in ("peft=linear_probe", "peft=coop", "peft=cocoop"):
        words = (
            [method] if method == "peft=linear_probe" else [method, "peft.words=null", "peft.num_tokens=3"]
        )
        few, more = pair_of(*words, names=NAMES[:2]), pair_of(*words, names=NAMES)
        more.cell.load_state(few.cell.state())
        torch.testing.assert_close(more.logits(images)[:, :2], few.logits(images), rtol=1e-9, atol=1e-9)


def test_an_image_changes_nothing_of_the_others() -> None:
    images = pictures(3)
    made = pair_of("peft=cocoop", "peft.words=null", "peft.num_tokens=3")
    torch.testing.assert_close(made.logits(images)[:1], made.logits(images[:1]), rtol=1e-9, atol=1e-9)


def test_what_does_not_fit_is_refused() -> None:
    image, text = (make() for make in _towers())
    with pytest.raises(UserError, match=r"vectors of 8 numbers, and .* of 16; legal: towers of one width"):
        pair("two", replace(image, num_features=8), text, scale=1.0)
    with pytest.raises(UserError, match=r"scale of cosines in two is 0\.0; legal: above 0"):
        pair("two", image, text, scale=0.0)
    with pytest.raises(UserError, match="the second tower is for networks that read texts"):
        pair("two", image, image, scale=1.0)


def test_a_bias_is_added() -> None:
    image, text = (make() for make in _towers())
    backbone = pair("two", image, text, scale=2.0, bias=-3.0)
    assert backbone.similarity is not None
    assert backbone.similarity.tolist() == [2.0, -3.0]
    spec = text.text_spec("texts")
    found = with_texts(backbone, class_texts(spec, [["a"], ["b"]])).features(
        {"images": torch.randn(3, 3, 32, 32)}
    )
    assert found.shape == (5, 16)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(5))


def _towers() -> tuple[Any, Any]:
    options = pair_of("peft=linear_probe").resolved.backbone.options
    return options["image"], options["text"]
