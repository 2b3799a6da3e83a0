"""Does the method work on the backbone? Asked of shapes alone, before weights are read, data are opened and memory is taken."""

from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import library, shapes_of
from peftlab.build.cell import build_cell, place_on
from peftlab.build.classes import example_classes
from peftlab.build.start import Start
from peftlab.config.place import place
from peftlab.config.resolved import Resolved
from peftlab.network.cell import Cell
from peftlab.network.network import Network
from peftlab.network.tokens import check_prompts
from peftlab.stream import generator

NUM_CLASSES = 10  # of a head that is not counted but may lie inside a mask's budget


def check_method(resolved: Resolved) -> None:
    """Nothing can be said of a backbone that is one's own, and of entries and sites that images choose.

    Raises:
        UserError: if the method cannot work there.
    """
    if library(resolved.backbone.target) is None:
        return
    backbone = shapes_of(resolved.backbone)
    if not place(
        resolved, backbone.labels, backbone.positions, is_known=False, places=backbone.places
    ).is_open:
        _built(resolved, backbone)


def cell_of_shapes(resolved: Resolved, backbone: Backbone) -> Cell | None:
    """The cell of a method on a backbone without numbers; None where images choose the entries that it trains.

    Raises:
        UserError: if the method cannot work there.
    """
    cell = _built(resolved, backbone)
    if cell is not None:
        Network(example_classes(resolved, backbone, NUM_CLASSES)).check(cell)
    return cell


def _built(resolved: Resolved, backbone: Backbone) -> Cell | None:
    """`cell_of_shapes` before its forward, which takes two seconds to begin on a device without numbers."""
    backbone = example_classes(resolved, backbone, NUM_CLASSES)
    placed = place_on(resolved, backbone)
    if any(part.is_mask for part in resolved.parts):
        return None
    head = empty_head(resolved, backbone, NUM_CLASSES)
    cell = build_cell(resolved, backbone, placed, Start(head)).cell.to("meta")  # where the backbone is
    check_prompts(list(cell.anchors))
    return cell


def empty_head(resolved: Resolved, backbone: Backbone, num_classes: int) -> nn.Module:
    """A head without numbers, for those of a file; of a network that writes texts or compares texts with images the one that it has."""
    given = {"generate": backbone.unembedding, "contrast": backbone.similarity}.get(resolved.task.word)
    head: nn.Module = resolved.head(
        backbone.num_features, num_classes, given, generator(resolved.seed, "head")
    )
    return head
