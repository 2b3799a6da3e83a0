"""The file of backbone=duo out of a run: the same network again."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fixtures.configs import composed
from fixtures.scripts import script_of

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.model.load import load

Call = Callable[..., Any]
RUN = ("backbone=tiny_duo", "task=contrast", "dataset=digits_lt", "fit.epochs=1", "hydra.run.dir=run")
ALIGN = (
    "peft=partial",
    "peft.positions=[proj]",
    "peft.depth=image",
    "head.learn_scale=true",
    "optim.lr=0.05",
)


@pytest.fixture
def script() -> ModuleType:
    return script_of("pack_duo")


def test_the_packed_map_gives_the_scores_of_the_run(call: Call, script: ModuleType, tmp_path: Path) -> None:
    assert call(*RUN, *ALIGN).code == 0
    sha256 = script.pack(Path("run"), tmp_path / "duo.safetensors")
    words = (f"backbone.checkpoint={tmp_path / 'duo.safetensors'}", f"backbone.sha256={sha256}")
    backbone = resolve(composed(*RUN[:3], *words)).backbone()
    model, images = load("run"), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        scores, features = model(images), model.features(images)
        found = torch.nn.functional.normalize(backbone.features({"images": images}), dim=-1)
        own = backbone.similarity[0] * found @ features[4:].T
    torch.testing.assert_close(own, scores, rtol=1e-2, atol=2e-2)  # the map is in half precision
    start = resolve(composed(*RUN[:3])).backbone()
    assert not torch.allclose(
        start.similarity[0] * features[:4] @ features[4:].T, scores, rtol=1e-2, atol=2e-2
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("placement.tower=image",),
            "trained nothing of the backbone; legal: a run of experiment=align_towers",
        ),
        ((*ALIGN, "head.learn_scale=false"), "has a scale that is not trained; legal: head.learn_scale=true"),
    ],
)
def test_other_runs(call: Call, script: ModuleType, words: tuple[str, ...], sentence: str) -> None:
    assert call(*RUN, *words).code == 0
    with pytest.raises(UserError, match=sentence):
        script.pack(Path("run"), Path("duo.safetensors"))
    assert not Path("duo.safetensors").exists()
