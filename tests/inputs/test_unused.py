"""Nothing of torch's compiler is loaded for timm, a step and an outer step; it is there when it is used."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from peftlab.inputs import unused
from peftlab.inputs.unused import without_unused


def test_a_module_is_loaded_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    name, disable = "wsgiref.util", torch.compiler.disable
    monkeypatch.setattr(unused, "NAMES", (name, "no_such_library"))
    monkeypatch.delitem(sys.modules, name, raising=False)
    with without_unused():
        import wsgiref.util as later

        assert type(later) is not ModuleType
        assert torch.compiler.disable is not disable
        assert "no_such_library" not in sys.modules
    assert name not in sys.modules
    assert later.request_uri.__module__ == name
    assert type(sys.modules[name]) is ModuleType
    assert torch.compiler.disable is disable


def test_what_uses_it_inside_gets_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "wsgiref.util"
    monkeypatch.setattr(unused, "NAMES", (name,))
    monkeypatch.delitem(sys.modules, name, raising=False)
    with without_unused():
        from wsgiref.util import request_uri

        assert type(sys.modules[name]) is ModuleType
    assert sys.modules[name].request_uri is request_uri  # type: ignore[attr-defined]


CODE = """
import sys, torch
from peftlab.inputs.unused import without_unused
from peftlab.inputs.eager import AdamW
with without_unused():
    import timm
value = torch.nn.Parameter(torch.ones(2))
AdamW([value], lr=0.1).step()
print(sorted({"torch._dynamo", "wandb", "sympy"} & set(sys.modules)))
from torchvision.ops import roi_align
print(roi_align.__globals__["is_compile_supported"]("cpu"), "torch._dynamo" in sys.modules)
import torch._dynamo.utils
print(torch._dynamo.utils.is_compile_supported("cpu"))
"""


@pytest.mark.slow
def test_timm_and_a_step_load_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[:3] == ["[]", "True True", "True"], done.stderr


RUN = """
import sys
from peftlab.command.train import main
try:
    main()
except SystemExit as end:
    print("exit", end.code, sorted({"torch._dynamo", "torch._inductor", "wandb", "sympy", "sklearn", "matplotlib"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_a_whole_run_loads_no_compiler(tmp_path: Path) -> None:
    words = [
        "backbone=tiny",
        "device=cpu",
        "fit.epochs=1",
        "fit.batch_size=277",
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.stdout.split("\n")[-2] == "exit 0 []", done.stdout + done.stderr
