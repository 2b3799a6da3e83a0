"""What fit.prograd holds a run to: what the frozen network says of a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.backbone.backbone import Backbone
from peftlab.build.classes import with_templates
from peftlab.errors import UserError
from peftlab.fit.learner import Learner
from peftlab.fit.prograd import Prograd, Teacher
from peftlab.task.task import Forward, Task


def prograd_of(
    strength: float | int, backbone: Backbone, task: Task, head: nn.Module, learner: Learner
) -> Prograd:
    """The rule of a learner, whose teacher is this backbone below this head.

    Raises:
        UserError: if the head as it starts says nothing.
    """
    if not task.has_start():
        raise UserError(
            f"fit.prograd={strength:g} wants what the frozen network says, and the head starts from no feature; legal:"
            " head.init=class_mean, or fit.prograd=null"
        )
    return Prograd(strength, teacher(backbone, task, head), learner.owned())


def teacher(backbone: Backbone, task: Task, head: nn.Module) -> Teacher:
    """Its scores. Of two towers, which have no texts here, those of images and of classes in the templates of the task."""
    features = backbone.features if task.named is None else _between(backbone, *task.named)
    return task.outputs(Forward(features, head), is_test=False)


def _between(
    backbone: Backbone, words: list[str], templates: list[str]
) -> Callable[[dict[str, Tensor]], Tensor]:
    """Features of images and, computed with the first batch, those of the classes."""
    bound, known = with_templates(backbone, words, templates), list[Tensor]()

    def features(inputs: dict[str, Tensor]) -> Tensor:
        if not known:
            known.append(bound.features(inputs)[-len(words) :])
        return torch.cat([F.normalize(backbone.features(inputs), dim=-1), known[0]])

    return features
