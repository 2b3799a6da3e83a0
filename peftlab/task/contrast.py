"""task=contrast: which of the names of the classes an image is nearest to, in a network of two towers."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.views import mean_over_views
from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.task.classify import Classify
from peftlab.task.task import Forward, Outputs, Read

TEMPLATE = "a photo of a {}."  # Radford et al. 2021


class Named(NamedTuple):
    """What the classes are called in texts, and the texts that their names stand in, at {}."""

    words: list[str]
    templates: list[str]


class Contrast(Classify):
    """Classes of a data set by their names. What is not said of them here is as in task=classify: losses with their prior, groups,
    tables.

    `templates`: the texts of a class, whose vectors are averaged; null: those of the data, or "a photo of a {}.". A method that
    learns its texts (coop) takes none of them.

    Source: Radford et al. 2021 (CLIP), arXiv:2103.00020, section 3.1.
    """

    def __init__(
        self, dataset: Dataset, head: Choice, loss: Choice, *, centres: bool, templates: list[str] | None
    ) -> None:
        super().__init__(dataset, head, loss, centres=centres)
        given = templates if templates is not None else list(getattr(dataset, "templates", ())) or [TEMPLATE]
        wrong = [text for text in given if text.count("{}") != 1]
        if wrong or not given:
            raise UserError(
                f"task.templates={given}: {wrong[0] if wrong else 'none'} has no place for one name; legal: texts with one {{}}, as"
                f" [{TEMPLATE!r}]"
            )
        self.named = Named(list(getattr(dataset, "class_words", dataset.class_names)), given)

    def wants_start(self) -> None:
        """The names say where the classes are."""

    def has_start(self) -> bool:
        """The frozen network answers, too: zero-shot."""
        return True

    def start(self, features: Iterable[tuple[Float[Tensor, "b d"], Int64[Tensor, " b"]]]) -> Tensor:
        """Nothing is asked of the training items."""
        raise NotImplementedError("the head compares what the two towers give")

    def head(self, backbone: Read, start: Float[Tensor, "c p"] | None, rng: torch.Generator) -> nn.Module:
        """The similarity, with the backbone's own scale.

        Raises:
            UserError: if the backbone has one tower.
        """
        if backbone.similarity is None:
            raise UserError("task=contrast wants a backbone of two towers; legal: backbone=duo")
        head: nn.Module = self._head(backbone.num_features, self.num_classes, backbone.similarity, rng)
        return head

    def outputs(self, forward: Forward, *, is_test: bool) -> Outputs:
        """The scores, and beside them the vectors of the images, where the test says where they lie; of several views the mean."""

        def scores(inputs: dict[str, Tensor]) -> Tensor:
            features = forward.features(inputs)
            found: Tensor = forward.head(features)
            if not (is_test and self._centres):
                return found
            images = features[:, 0] if features.ndim == 3 else features[: len(found)]
            return torch.cat([found, images], dim=-1)

        return lambda inputs: mean_over_views(scores, inputs)

    def card(self) -> dict[str, Any]:
        """The classes, and what they are called in texts."""
        return {**super().card(), "class_texts": self.named._asdict()}
