"""CoOp against BERT called with embeddings that were put together by hand."""

import pytest
import torch
from fixtures.duo import NAMES, image_vectors, looked_up, moved, pair_of, pictures, text_vectors

from peftlab.errors import UserError

SCALE = 10.0


def by_hand(made, images, vectors):
    """Scores with these vectors [c, m, d] in the place of the words of the context."""
    embedded, mask = looked_up(made.backbone)
    embedded = embedded.clone()
    for row, positions in enumerate(made.backbone.texts.positions.tolist()):
        for number, position in enumerate(positions):
            embedded[row, position] = vectors[row, number]
    return SCALE * image_vectors(made.backbone, images) @ text_vectors(made.backbone, embedded, mask).T


def words(made):
    table = made.backbone.model.text.get_input_embeddings().weight
    return table[made.backbone.texts.words]


@pytest.mark.parametrize("place", ["end", "middle", "front"])
@pytest.mark.parametrize("class_specific", [False, True])
def test_scores(place, class_specific):
    made = pair_of(
        "peft=coop", "peft.num_tokens=4", f"peft.place={place}", f"peft.class_specific={class_specific}"
    )
    moved(made.cell)
    (anchor,) = made.cell.anchors
    delta = anchor.delta.delta
    assert delta.shape == ((len(NAMES), 4, 16) if class_specific else (4, 16))
    vectors = (words(made) + delta).expand(len(NAMES), 4, 16)
    images = pictures(3)
    torch.testing.assert_close(made.logits(images), by_hand(made, images, vectors))


def test_words_are_the_start_and_gamma_goes_back_to_them():
    options = ("peft=coop", "peft.words=ab cd", "peft.num_tokens=4")
    made = pair_of(*options)
    images = pictures(2)
    frozen = made.network.backbone.features({"images": images})
    start = made.network.features([made.cell], {"images": images})[0]
    assert torch.equal(start, frozen), "the start is not the text that is written"
    moved(made.cell)
    assert not torch.allclose(made.logits(images), SCALE * frozen[:2] @ frozen[2:].T)
    half = pair_of(*options, "scaling.value=0.5")
    half.cell.load_state(made.cell.state())
    (anchor,) = made.cell.anchors
    vectors = (words(made) + 0.5 * anchor.delta.delta).expand(len(NAMES), 4, 16)
    torch.testing.assert_close(half.logits(images), by_hand(half, images, vectors))


def test_the_random_start_is_that_of_the_vectors():
    made = pair_of("peft=coop", "peft.num_tokens=40")
    (anchor,) = made.cell.anchors
    before = made.resolved.backbone().model.text.get_input_embeddings().weight
    own = made.backbone.model.text.get_input_embeddings().weight
    assert not torch.equal(before.double(), own)
    vectors = anchor.delta.delta + words(made)
    assert vectors.mean().abs() < 0.003
    assert abs(vectors.std() - 0.02) < 0.002


def test_counts():
    made = pair_of("peft=coop", "peft.num_tokens=16")
    assert made.cell.num_parameters() == {"delta": 16 * 16, "gamma": 0, "gate": 0, "selected": 0, "head": 0}


def test_the_gradient():
    made = pair_of("peft=coop", "peft.num_tokens=3")
    images = pictures(2)
    (value,) = made.cell.theta().values()

    def loss(vectors):
        found = torch.func.functional_call(
            made.cell, {"deltas.2_context.delta": vectors}, (made.network, {"images": images})
        )
        return found.square().sum()

    assert torch.autograd.gradcheck(loss, value.detach().clone().requires_grad_())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("peft.words=ab",), r"peft\.num_tokens=16, but peft\.words=ab are 2 tokens; legal: num_tokens=2"),
        (("peft.num_tokens=400",), r"of a class has \d+ tokens; legal: at most"),
    ],
)
def test_refused(given, words):
    with pytest.raises(UserError, match=words):
        pair_of("peft=coop", *given)
