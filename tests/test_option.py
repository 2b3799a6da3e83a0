"""A choice: a function of this package with its options, which is called with the rest."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.placement.grid import grid
from peftlab.placement.ground import Ground

GRID = Choice("peftlab.placement.grid.grid", {"depth": "0-1", "position": ["q"]})


def test_it_waits_for_what_is_known_only_at_run_time() -> None:
    assert GRID.function is grid
    assert GRID.word == "grid"
    cells = GRID(Ground(["0", "1", "2"], ["q", "v"], [])).cells
    assert [str(site) for site in cells] == ["0.q", "1.q"]


def test_what_is_given_at_the_call_replaces_an_option() -> None:
    cells = GRID(Ground(["0", "1", "2"], ["q", "v"], []), position="v", depth=2).cells
    assert [str(site) for site in cells] == ["2.v"]
    assert GRID.options == {"depth": "0-1", "position": ["q"]}


def test_an_option_that_is_a_choice_is_handed_on_as_it_is() -> None:
    inner = Choice("peftlab.scaling.plan.OuterPlan", {})
    assert Choice("builtins.dict", {"outer": inner})() == {"outer": inner}


def test_a_wrong_input_keeps_its_sentence() -> None:
    options = {
        "name": "vit",
        "pretrained": True,
        "checkpoint": "x",
        "sha256": None,
        "quantise": None,
        "depth": None,
        "model_args": {},
    }
    with pytest.raises(
        UserError, match=r"^backbone\.pretrained=true and backbone\.checkpoint=x exclude each other"
    ):
        Choice("peftlab.backbone.timm.model.timm_model", options)()


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        GRID.target = "os.system"  # type: ignore[misc]


def test_nothing_is_imported_before_the_function_is_asked_for() -> None:
    code = """
import sys
from peftlab.option import Choice
lora = Choice("peftlab.peft.lora.Lora", {"rank": 8})
assert lora.word == "lora"
assert "torch" not in sys.modules
assert lora.function.__name__ == "Lora"
assert "torch" in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
