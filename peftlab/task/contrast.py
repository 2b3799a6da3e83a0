"""task=contrast: which of the names of the classes an image is nearest to, in a network of two towers."""

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.views import mean_over_views
from peftlab.errors import UserError
from peftlab.evaluate.metrics import harmonic_mean
from peftlab.option import Choice, PositiveFloat, Range, Share
from peftlab.task.classify import GROUPS, Classify
from peftlab.task.rows import item_rows
from peftlab.task.task import Forward, Outputs, Read, Summary
from peftlab.task.tpt import Tpt

GROUP_ACC = tuple(f"{name}_acc" for name in GROUPS)

BOTH = "base_new_acc"  # harmonic mean of the accuracies of base and of new classes
TEMPLATE = "a photo of a {}."  # Radford et al. 2021


class Contrast(Classify):
    """Classes of a data set by their names. What is not said of them here is as in task=classify: losses with their prior, groups,
    tables.

    `templates`: the texts of a class, whose vectors are averaged; null: those of the data, or "a photo of a {}.". A method that
    learns its texts (coop) takes none of them. With `tpt_views`, these texts move by `tpt_lr` for each test image, by the `tpt_share`
    of so many views of it that are most certain: see `Tpt`.

    Source: Radford et al. 2021 (CLIP), arXiv:2103.00020, section 3.1.
    """

    def __init__(
        self,
        dataset: Dataset,
        head: Choice,
        loss: Choice,
        *,
        centres: bool,
        templates: list[str] | None,
        tpt_views: Annotated[int, Range(2, 65_536)] | None,
        tpt_lr: PositiveFloat,
        tpt_share: Share,
    ) -> None:
        super().__init__(dataset, head, loss, centres=centres)
        self._tpt = None if tpt_views is None else Tpt(tpt_views, tpt_lr, tpt_share)
        given = templates if templates is not None else list(dataset.templates) or [TEMPLATE]
        wrong = [text for text in given if text.count("{}") != 1]
        if wrong or not given:
            raise UserError(
                f"task.templates={given}: {wrong[0] if wrong else 'none'} has no place for one name; legal: texts with one {{}}, as"
                f" [{TEMPLATE!r}]"
            )
        self.named: tuple[list[str], list[str]] = (dataset.class_words, given)

    @property
    def headline(self) -> tuple[str, ...]:  # type: ignore[override]
        """Accuracies of the classes, and, where half of them are kept for the test, of these and of both."""
        return (*GROUP_ACC, *(("new_acc", BOTH) if self.dataset.open_new is not None else ()))

    @property
    def compared(self) -> tuple[str, ...]:
        """The headline, and where the vectors lie if that is asked for."""
        return (*self.headline, *super().compared[len(GROUP_ACC) :])

    def wants_start(self) -> str | None:
        """The names say where the classes are; some heads keep the training items, too."""
        return "items" if getattr(self._head.function, "keeps_items", False) else None

    def has_start(self) -> bool:
        """The frozen network answers, too: zero-shot."""
        return True

    def start(
        self, features: Iterable[tuple[Float[Tensor, "n d"] | Float[Tensor, "b n d"], Int64[Tensor, " b"]]]
    ) -> Float[Tensor, "m p"]:
        """The vectors of the images, each with its class behind it."""
        pairs = [(item_rows(found, len(labels)), labels) for found, labels in features]
        return torch.cat([torch.cat([images, labels[:, None].to(images)], dim=1) for images, labels in pairs])

    def head(self, backbone: Read, start: Float[Tensor, "n p"] | None, rng: torch.Generator) -> nn.Module:
        """The similarity, with the backbone's own scale.

        Raises:
            UserError: if the backbone has one tower.
        """
        if backbone.similarity is None:
            raise UserError(
                "task=contrast wants a backbone of two towers; legal: backbone=duo, open_clip or hf_clip"
            )
        head: Any = self._head(backbone.num_features, self.num_classes, backbone.similarity, rng)
        if start is not None:
            head.keep(start)
        return head  # type: ignore[no-any-return]

    def frozen_head(self, head: Any) -> nn.Module:
        """The names alone: zero-shot."""
        found: nn.Module = head.over(self.num_classes)
        return found

    def outputs(self, forward: Forward, *, is_test: bool) -> Outputs:
        """The scores, and beside them the vectors of the images, where the test says where they lie; of several views the mean.

        At the test the texts move, where that is asked for.
        """

        def scores(inputs: dict[str, Tensor]) -> Tensor:
            features = forward.features(inputs)
            found: Tensor = forward.head(features)
            if not (is_test and self._centres):
                return found
            return torch.cat([found, item_rows(features, len(found))], dim=-1)

        if is_test and self._tpt is not None and forward.context:
            return self._tpt.outputs(scores, self.num_classes, forward.context)
        return lambda inputs: mean_over_views(scores, inputs)

    def summary(self, metrics: dict[str, float | None]) -> Summary:
        """As of other classifiers, and of new classes below it."""
        found = super().summary(metrics)
        new = metrics.get("new_acc")
        if new is None:
            return found
        frozen = metrics.get("frozen/new_acc"), metrics.get(f"frozen/{BOTH}")
        said = f"new classes {100 * new:.1f}, harmonic mean with the base classes {100 * (metrics[BOTH] or 0):.1f}"
        if None not in frozen:
            said += "; frozen {:.1f}, {:.1f}".format(*(100 * (value or 0) for value in frozen))
        return found._replace(line=f"{found.line}\n{said}")

    def data_line(self, num_train: int) -> str:
        """Items, classes and groups, and what a test image costs."""
        line = super().data_line(num_train)
        if self._tpt is None:
            return line
        return (
            f"{line}; task.tpt_views: each test image is {self._tpt.num_views} views, and the texts of {self.num_classes} classes twice"
            " forward and once backward"
        )

    def card(self) -> dict[str, Any]:
        """The classes, and what they are called in texts."""
        words, templates = self.named
        return {**super().card(), "class_texts": {"words": words, "templates": templates}}


def with_new(base: dict[str, float | None], new: dict[str, float | None]) -> dict[str, float | None]:
    """The numbers of a run on base classes, and beside them the accuracy of new classes and its harmonic mean with that of base
    classes: in the run, in the frozen network, and their difference."""
    found = dict(base)
    for key in new:
        kind, _, name = key.partition("/")
        if name.startswith("mean_"):
            found[f"{kind}/new_{name.removeprefix('mean_')}"] = new[key]
    both = {}
    for kind in ("test", "frozen"):
        pair = base[f"{kind}/mean_acc"], new[f"{kind}/mean_acc"]
        both[kind] = None if None in pair else harmonic_mean(*pair)  # type: ignore[arg-type]
        found[f"{kind}/{BOTH}"] = both[kind]
    less = None in both.values()
    found[f"gain/{BOTH}"] = None if less else both["test"] - both["frozen"]  # type: ignore[operator]
    return found
