"""Class probabilities of image files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.dataset.image.dataset import used_views
from peftlab.dataset.image.views import mean_over_views
from peftlab.dataset.source.picture import read_picture
from peftlab.errors import UserError
from peftlab.model.load import Trained


class Answer(NamedTuple):
    """The probabilities of one file, or the reason why it has none."""

    file: Path
    probabilities: Float[Tensor, " c"] | None
    error: str | None


def predict(trained: Trained, files: Sequence[Path], *, batch_size: int) -> Iterator[Answer]:
    """softmax(logits) of every file in order, its input made as in the run's evaluation, in fp32; on a GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = trained.model.to(device).eval()
    spec = trained.backbone.image_spec("peftlab-predict")
    transform = used_views(spec, trained.resolved.dataset.options)

    def logits(inputs: dict[str, Tensor]) -> Tensor:
        found: Tensor = model(inputs["images"])
        return found.float()

    for start in range(0, len(files), batch_size):
        pictures, errors = [], {}
        part = files[start : start + batch_size]
        for file in part:
            try:
                pictures.append(transform([read_picture(file)])["images"])  # of the size that the model reads
            except UserError as error:
                errors[file] = str(error)
        rows: Iterator[Tensor] = iter(())
        if pictures:
            with torch.no_grad():
                rows = iter(
                    mean_over_views(logits, {"images": torch.cat(pictures).to(device)}).softmax(-1).cpu()
                )
        for file in part:
            yield Answer(file, None, errors[file]) if file in errors else Answer(file, next(rows), None)
