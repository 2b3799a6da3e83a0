"""Fixtures of the selective methods, and of those that are compared with Hugging Face's."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def hand_made() -> Callable[..., Any]:
    """`Weights` of the given candidates; `gradients` is what its iterator gives, one dict per image."""
    from peftlab.peft.weights import Weights

    def make(
        inside: list[Any], gradients: Any = (), outside: Any = (), num_head: int = 0, **more: Any
    ) -> Any:
        given = {
            "num_heads": {},
            "num_backbone": sum(weight.value.numel() for weight in [*inside, *outside]),
            "class_gradients": lambda num: iter(()),
            **more,
        }
        every = [dict(gradient) for gradient in gradients]
        return Weights(
            inside=list(inside),
            outside=list(outside),
            num_head=num_head,
            gradients=lambda num: iter(every[:num]),
            **given,
        )

    return make


# module of an unfused copy -> position
LINEAR = {"attn.qkv.q": "q", "attn.qkv.v": "v", "attn.proj": "out", "mlp.fc1": "mlp1", "mlp.fc2": "mlp2"}


@pytest.fixture
def own_family(family: Any) -> Callable[[str], Any]:
    """A copy of `family`, which a test may put in float64."""

    def make(name: str) -> Any:
        backbone = family(name)
        return replace(backbone, model=copy.deepcopy(backbone.model))

    return make


@pytest.fixture
def theirs(hugging_face: Any) -> Callable[..., Any]:
    """Hugging Face's network of a config on a copy whose q, k, v are three layers, and its layer at each site (`0_q`)."""
    import torch

    class Apart(torch.nn.Module):
        def __init__(self, fused: Any) -> None:
            super().__init__()
            for name, weight, bias in zip("qkv", fused.weight.chunk(3), fused.bias.chunk(3), strict=True):
                layer = torch.nn.Linear(fused.in_features, fused.out_features // 3)
                layer.load_state_dict({"weight": weight, "bias": bias})
                setattr(self, name, layer)

        def forward(self, x: Any) -> Any:
            return torch.cat([self.q(x), self.k(x), self.v(x)], dim=-1)

    def make(backbone: Any, config: Any) -> tuple[Any, dict[str, Any]]:
        model = copy.deepcopy(backbone.model).float()  # their SVD takes no float64
        for block in model.blocks:
            block.attn.qkv = Apart(block.attn.qkv)
        config.target_modules = set(LINEAR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = hugging_face.get_peft_model(model, config)
        inner = wrapped.to(next(backbone.model.parameters()).dtype).base_model.model
        return wrapped, {
            f"{index}_{position}": inner.get_submodule(f"blocks.{index}.{path}")
            for index in range(len(inner.blocks))
            for path, position in LINEAR.items()
        }

    return make


@pytest.fixture
def learn_alike() -> Callable[..., None]:
    """Two networks in float64 agree in features, in every gradient and in every step of SGD; `pairs` are their parameters."""
    import torch

    def check(model: Any, wrapped: Any, pairs: list[tuple[Any, Any]]) -> None:
        for own, same in pairs:
            assert own.dtype == torch.float64
            same.data.copy_(own.data)
        rng = torch.Generator().manual_seed(9)
        size = model.network.backbone.input_spec.size
        images = torch.randn(5, 3, size, size, generator=rng, dtype=torch.float64)
        slope = torch.randn(model.features(images).shape, generator=rng)
        for _ in range(4):
            ours, other = model.features(images), wrapped(images)
            torch.testing.assert_close(ours, other, rtol=1e-9, atol=1e-9)
            ours.backward(slope)
            other.backward(slope)
            for own, same in pairs:
                assert own.grad.any()
                assert (own.grad - same.grad).norm() <= 1e-9 * same.grad.norm()
                with torch.no_grad():
                    for value in (own, same):
                        value.sub_(0.1 * value.grad / same.grad.norm())
                own.grad = same.grad = None
        for own, same in pairs:
            torch.testing.assert_close(own, same, rtol=1e-9, atol=1e-9)

    return check


@pytest.fixture
def finished(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A run from a command line on the digits: its folder, and the model as it was at the end."""
    from fixtures.configs import composed

    from peftlab.config.resolve import resolve
    from peftlab.model.model import Model
    from peftlab.record.record import Record
    from peftlab.run import run as module

    def make(*words: str) -> tuple[Path, Any]:
        config = composed("backbone=tiny", "dataset=digits_lt", "fit.epochs=1", "fit.batch_size=64", *words)
        states: list[Any] = []
        finish = module.finish
        monkeypatch.setattr(
            module, "finish", lambda state, *rest: states.append(state) or finish(state, *rest)
        )
        module.run(resolve(config), Record(tmp_path / "run", {}, config), None)
        experiment = states[0].experiment
        return tmp_path / "run", Model(experiment.trunk.backbone, experiment.cell).eval()

    return make
