"""Options of launchers that are not legal."""

import pytest

from peftlab.engine.option import check_options
from peftlab.errors import UserError


@pytest.mark.parametrize(
    ("options", "legal"),
    [
        ({"workers": 0}, "hydra.launcher.workers=0 is not legal; legal: a whole number above 0, or null"),
        ({"workers": 1.5}, "hydra.launcher.workers=1.5 is not legal; legal: a whole number"),
        ({"interleave": True}, "hydra.launcher.interleave=True is not legal"),
        ({"memory_gb": 0}, "hydra.launcher.memory_gb=0 is not legal; legal: a number above 0, or null"),
        ({"max_cells": 0}, "hydra.launcher.max_cells=0 is not legal; legal: a whole number above 0, or null"),
        ({"fused": None}, "hydra.launcher.fused=None is not legal; legal: true or false"),
        ({"fused": 2}, "hydra.launcher.fused=2 is not legal; legal: true or false"),
        ({"hang_s": "long"}, "hydra.launcher.hang_s=long is not legal; legal: a number above 0, or null"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], legal: str) -> None:
    check_options(workers=None, hang_s=0.5, interleave=2, fused=False, max_cells=48)
    with pytest.raises(UserError, match=legal):
        check_options(**options)
