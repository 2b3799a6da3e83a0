"""The table of places of any timm model that has one."""

from torch import nn

from peftlab.backbone.table import Table
from peftlab.backbone.timm.swin import swin_table
from peftlab.backbone.timm.vit import vit_table


def timm_table(model: nn.Module, name: str) -> Table:
    """Blocks in stages, or one stack of blocks.

    Raises:
        UserError: if this architecture has no table.
    """
    stages = getattr(model, "layers", None)
    if isinstance(stages, nn.Sequential) and all(hasattr(stage, "blocks") for stage in stages):
        return swin_table(model, name)
    return vit_table(model, name)
