"""Which rows of the features of a batch are its items."""

from jaxtyping import Float
from torch import Tensor


def item_rows(
    features: Float[Tensor, "n d"] | Float[Tensor, "b n d"], num_items: int
) -> Float[Tensor, "b d"]:
    """Of two towers the images: behind them stand the classes, once for all or for each image its own. Of one tower all rows."""
    return features[:, 0] if features.ndim == 3 else features[:num_items]
