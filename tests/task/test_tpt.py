"""task.tpt_views: against a loop written from the equation in float64, and what no image may see of another."""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.configs import composed
from fixtures.duo import image_vectors, looked_up, moved, pair_of, pictures, text_vectors
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from peftlab.backbone.choice import shapes_of
from peftlab.build.early import cell_of_shapes
from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.dataset.image.crop import crop_box
from peftlab.dataset.image.random_views import random_views
from peftlab.errors import UserError
from peftlab.evaluate.evaluate import evaluate
from peftlab.stream import generator
from peftlab.task.tpt import Tpt

Call = Callable[..., Any]
TPT = Tpt(12, 5e-3, 0.34)
COOP = ("peft=coop", "peft.num_tokens=2", "peft.words=x y")
MAPLE = ("peft=maple", "peft.depth=0-1", "peft.num_tokens=2", "peft.words=x y")
RUN = ("backbone=tiny_duo", "task=contrast", "dataset=digits_lt", "fit.epochs=0", "device=cpu")


def tuned(pair: Any, images: Tensor, tpt: Tpt = TPT) -> Tensor:
    scores = lambda inputs: pair.logits(inputs["images"])  # noqa: E731
    return tpt.outputs(scores, 4, pair.cell.context())({"images": images})


def by_hand(pair: Any, image: Tensor, logits: Callable[[Tensor], Tensor], context: list[Any]) -> Tensor:
    """One image: the four most certain of twelve views, AdamW of torch, the clean view. The context stays moved."""
    found = logits(TPT.views(image))
    entropy = torch.distributions.Categorical(logits=found).entropy()
    certain = found[entropy.topk(4, largest=False).indices].softmax(-1).mean(0)
    loss = torch.distributions.Categorical(probs=certain).entropy()
    optimizer = torch.optim.AdamW(context, lr=5e-3, weight_decay=0)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        return logits(image)


@pytest.mark.parametrize("words", [(), ("peft.class_specific=true",)])
def test_the_scores_are_those_of_a_loop_from_the_equation(words: tuple[str, ...]) -> None:
    pair, images = pair_of(*COOP, *words), pictures(3)
    moved(pair.cell)
    delta = pair.cell.context()[0].detach().clone()
    found = tuned(pair, images)
    for at, image in enumerate(images.split(1)):
        own = delta.clone().requires_grad_()

        def logits(seen: Tensor, own: Tensor = own) -> Tensor:
            embedded, mask = looked_up(pair.backbone)
            index = pair.backbone.texts.positions
            rows = own.expand(len(index), *own.shape[-2:]).flatten(0, 1)
            place = torch.arange(len(index)).repeat_interleave(index.shape[1]), index.flatten()
            texts = text_vectors(pair.backbone, embedded.index_put(place, rows, accumulate=True), mask)
            return 10 * image_vectors(pair.backbone, seen) @ texts.T

        torch.testing.assert_close(found[at : at + 1], by_hand(pair, image, logits, [own]))
    assert (found - pair.logits(images)).abs().max() > 1e-3, "it does something"


def test_of_two_coupled_towers_the_tokens_of_the_texts_move() -> None:
    images, found = pictures(2), []
    for image in images.split(1):
        pair = pair_of(*MAPLE)
        moved(pair.cell)
        context = [value for name, value in pair.cell.theta().items() if ".P." in name]
        assert len(context) == 2
        found.append(by_hand(pair, image, pair.logits, context))
    pair = pair_of(*MAPLE)
    moved(pair.cell)
    torch.testing.assert_close(tuned(pair, images), torch.cat(found))


@pytest.mark.parametrize("words", [COOP, MAPLE])
def test_no_image_sees_another_and_nothing_stays(words: tuple[str, ...]) -> None:
    pair, images = pair_of(*words), pictures(5)
    moved(pair.cell)
    before = {name: value.detach().clone() for name, value in pair.cell.theta().items()}
    found = tuned(pair, images)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert torch.equal(tuned(pair, images[order]), found[order])
    assert torch.equal(tuned(pair, images[2:3]), found[2:3])
    for name, value in pair.cell.theta().items():
        assert torch.equal(value, before[name]), name
        assert value.grad is None


def test_what_breaks_leaves_the_context_as_it_was() -> None:
    pair = pair_of(*COOP)
    (delta,) = pair.cell.context()
    before, calls = delta.detach().clone(), []

    def scores(inputs: dict[str, Tensor]) -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            assert not torch.equal(delta, before)
            raise MemoryError
        return pair.logits(inputs["images"])  # type: ignore[no-any-return]

    with pytest.raises(MemoryError):
        TPT.outputs(scores, 4, [delta])({"images": pictures(1)})
    assert torch.equal(delta, before)


@pytest.mark.parametrize("words", [COOP, MAPLE])
def test_in_bf16_the_moved_context_is_read(words: tuple[str, ...]) -> None:
    """autocast keeps what it has made of a parameter, which is another one after the step."""
    experiment = build(resolve(composed(*RUN, *words, "task.tpt_views=8", "task.tpt_lr=0.5")))
    batch = next(iter(experiment.trunk.batches(experiment.trunk.dataset.train))).inputs["images"][:3]
    outputs = experiment.outputs(is_test=True)
    experiment.cell.eval()
    bf16 = lambda: torch.autocast("cpu", dtype=torch.bfloat16)  # noqa: E731
    with torch.no_grad(), bf16():
        found = outputs({"images": batch})
    tpt, context = Tpt(8, 0.5, 0.1), experiment.cell.context()
    for at, image in enumerate(batch.split(1)):
        before = [value.detach().clone() for value in context]
        with bf16():
            (logits,) = experiment.network.outputs([experiment.cell], {"images": tpt.views(image)})
            grads = torch.autograd.grad(tpt.entropy(logits), context)
        with torch.no_grad():
            for value, grad in zip(context, grads, strict=True):
                value -= 0.5 * grad / (grad.abs() + 1e-8)
        with torch.no_grad(), bf16():
            (expected,) = experiment.network.outputs([experiment.cell], {"images": image})
        assert torch.equal(found[at : at + 1], expected)
        with torch.no_grad():
            for value, old in zip(context, before, strict=True):
                value.copy_(old)


def test_views_are_torchvisions_boxes() -> None:
    image = pictures(1)
    found, shown = random_views(image, 20), hashlib.sha256(image.numpy().tobytes()).hexdigest()
    draws = torch.rand(20, 41, generator=generator(0, "views", shown)).tolist()
    for view, draw in zip(found, draws, strict=True):
        box = crop_box(draw, 32, 32, (0.08, 1.0))
        theirs = tv.resized_crop(image[0], *box, [32, 32], antialias=False)
        torch.testing.assert_close(view, tv.horizontal_flip(theirs) if draw[-1] < 0.5 else theirs)
    assert len({tuple(view.flatten().tolist()) for view in found}) == 20


def test_views_follow_from_the_image_alone() -> None:
    image = pictures(1)
    assert torch.equal(TPT.views(image), TPT.views(image.clone()))
    assert torch.equal(TPT.views(image)[:1], image)
    other = image.clone()
    other[0, 0, 0, 0] += 1
    assert (TPT.views(image)[1:] - TPT.views(other)[1:]).abs().mean() > 0.1, "other boxes"


def test_only_at_the_test_and_only_with_a_method() -> None:
    experiment = build(resolve(composed(*RUN, *COOP, "task.tpt_views=6", "task.tpt_lr=0.3")))
    experiment.cell.eval()
    data = experiment.trunk.dataset
    inputs = {"images": next(iter(experiment.trunk.batches(data.train))).inputs["images"][:4]}
    with torch.no_grad():
        (plain,) = experiment.network.outputs([experiment.cell], inputs)
        assert torch.equal(experiment.outputs(is_test=False)(inputs), plain)
        assert not torch.equal(experiment.outputs(is_test=True)(inputs), plain)
        frozen, zero_shot = (
            build(resolve(composed(*RUN, *words))).frozen(data.train)
            for words in ((*COOP, "task.tpt_views=6"), ("peft=linear_probe",))
        )
        assert frozen is not None
        assert zero_shot is not None
        torch.testing.assert_close(frozen(inputs), zero_shot(inputs))


def test_no_label_is_read() -> None:
    """Other labels, the same answers."""
    experiment = build(resolve(composed(*RUN, *COOP, "task.tpt_views=4", "task.tpt_lr=0.3")))
    experiment.cell.eval()
    part = experiment.trunk.dataset.train.subset(np.arange(12))
    said = []
    for labels in (part.labels, (part.labels + 3) % 10):
        batches = experiment.trunk.batches(part)
        other = [batch._replace(targets=torch.as_tensor(labels)) for batch in batches]
        counted = evaluate(experiment.outputs(is_test=True), other, 10, torch.device("cpu"), nullcontext)
        said.append(torch.cat(counted.answers, dim=1)[1])
    assert torch.equal(said[0], said[1])


@pytest.mark.parametrize(
    ("words", "number"),
    [(("peft=coop", "peft.num_tokens=4", "peft.words=a photo of a"), 2048), (("peft=coop",), 8192)],
)
def test_as_many_numbers_move_as_published(words: tuple[str, ...], number: int) -> None:
    resolved = resolve(composed("backbone=clip_vit_b_16.openai", "task=contrast", *words))
    cell = cell_of_shapes(resolved, shapes_of(resolved.backbone))
    assert cell is not None
    assert sum(value.numel() for value in cell.context()) == number


def test_a_run_says_what_it_costs_and_new_classes_move_too(call: Call) -> None:
    words = (*RUN, *COOP, "dataset.classes=base", "task.tpt_views=2", "task.tpt_lr=0.3")
    found = call(*words, "fit.epochs=1", "hydra.run.dir=run")
    assert found.code == 0, found.err
    said = " ".join(found.out.split())
    assert "each test image is 2 views, and the texts of 5 classes twice forward and once backward" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("peft=lora",), "task.tpt_views=64 moves the tokens around the names of classes, and peft=lora has none"),
        (("peft=cocoop",), "task.tpt_views=64: with cocoop each view has texts of its own"),
        ((*COOP, "dataset.views=five_crop"), "task.tpt_views=64 with dataset.views=five_crop"),
        ((*COOP, "task.tpt_views=1"), "task.tpt_views=1 is not legal"),
        ((*COOP, "task.tpt_share=1.5"), "task.tpt_share=1.5 is not legal"),
    ],
)  # fmt: skip
def test_what_has_nothing_to_move_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(composed(*RUN, "task.tpt_views=64", *words))
    assert said in str(error.value)
