"""Images stand before the classes, whether these stand there once or for each image."""

import torch

from peftlab.task.rows import item_rows


def test_the_rows_of_the_items() -> None:
    images, classes = torch.randn(3, 5), torch.randn(4, 5)
    assert torch.equal(item_rows(torch.cat([images, classes]), 3), images)
    assert torch.equal(item_rows(images, 3), images)
    own = torch.cat([images.unsqueeze(1), classes.expand(3, 4, 5)], dim=1)
    assert torch.equal(item_rows(own, 3), images)
