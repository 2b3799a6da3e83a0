"""Bilevel problems with known hypergradients: a quadratic with closed forms, two small attention networks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Quadratic:
    """L_in = x' A x / 2 - x' (B g + c_t),  L_out = |x - d|^2 / 2 + |g - e|^2 / 2, x = theta, g = gamma.

    theta also has `idle`, which only the outer loss sees; gamma has `idle`, which nobody sees.
    """

    A: np.ndarray
    B: np.ndarray
    c: np.ndarray
    d: np.ndarray
    e: np.ndarray
    x: np.ndarray
    g: np.ndarray
    lr: float = 0.1

    def theta(self, x: np.ndarray | None = None) -> Values:
        flat = torch.from_numpy(self.x if x is None else x)
        idle = torch.ones(3, dtype=torch.float64)
        return {"weight": flat[:4].reshape(2, 2).clone(), "bias": flat[4:].clone(), "idle": idle}

    def gamma(self) -> Values:
        flat = torch.from_numpy(self.g)
        return {"q": flat[0].clone(), "v": flat[1:].clone(), "idle": torch.ones(2).double()}

    def inner_loss(self, theta: Values, gamma: Values, t: int) -> Tensor:
        x, g = pack(theta, "weight", "bias"), pack(gamma, "q", "v")
        A, B, c = (torch.from_numpy(value) for value in (self.A, self.B, self.c[t]))
        return x @ A @ x / 2 - x @ (B @ g + c)

    def outer_loss(self, theta: Values, gamma: Values) -> Tensor:
        x, g = pack(theta, "weight", "bias"), pack(gamma, "q", "v")
        d, e = torch.from_numpy(self.d), torch.from_numpy(self.e)
        return ((x - d).square().sum() + (g - e).square().sum()) / 2 + theta["idle"].sum()

    def outer_value(self, x: np.ndarray) -> float:
        return float(((x - self.d) ** 2).sum() + ((self.g - self.e) ** 2).sum()) / 2 + 3

    def stationary(self) -> np.ndarray:
        return np.linalg.solve(self.A, self.B @ self.g + self.c[0])

    def check(self, grad: Values, expected: np.ndarray, rtol: float = 1e-12) -> None:
        assert set(grad) == {"q", "v", "idle"}
        np.testing.assert_allclose(pack(grad, "q", "v").numpy(), expected, rtol=rtol, atol=1e-13)
        assert torch.equal(grad["idle"], torch.zeros(2).double())


def pack(values: Values, *names: str) -> Tensor:
    return torch.cat([values[name].reshape(-1) for name in names])


@pytest.fixture
def quadratic() -> Quadratic:
    random = np.random.default_rng(0)
    root = random.normal(size=(5, 5))
    A = root @ root.T / 5 + np.eye(5)
    B, c, d, e, x, g = (random.normal(size=shape) for shape in ((5, 3), (9, 5), 5, 3, 5, 3))
    return Quadratic(A, B, c, d, e, x, g)


@dataclass(frozen=True)
class Network:
    """Cross-entropy of logits(theta, gamma, images) on one inner batch per t and on one outer batch."""

    logits: Callable[[Values, Values, Tensor], Tensor]
    images: Tensor  # [batch, ...]: the last batch is the outer one
    labels: Tensor
    theta: Values
    gamma: Values

    def inner_loss(self, theta: Values, gamma: Values, t: int) -> Tensor:
        return F.cross_entropy(self.logits(theta, gamma, self.images[t]), self.labels[t])

    def outer_loss(self, theta: Values, gamma: Values) -> Tensor:
        return F.cross_entropy(self.logits(theta, gamma, self.images[-1]), self.labels[-1])


def low_rank(make: torch.Generator, *, width: int, names: tuple[str, ...]) -> tuple[Values, Values]:
    """A rank-2 delta (no factor 0, else gamma has no gradient) and a gamma around 1 for every name."""
    theta: Values = {}
    for name in names:
        theta[f"{name}.A"] = torch.randn(2, width, generator=make, dtype=torch.float64) / width**0.5
        theta[f"{name}.B"] = torch.randn(width, 2, generator=make, dtype=torch.float64) / 2
    gamma = {name: 1 + 0.3 * torch.randn((), generator=make, dtype=torch.float64) for name in names}
    return theta, gamma


def tiny_transformer() -> Network:
    """One attention block of two heads, with low-rank deltas on q and v; token mean; trained head."""
    make = torch.Generator().manual_seed(1)
    frozen = {name: torch.randn(8, 8, generator=make, dtype=torch.float64) / 8**0.5 for name in "qkvo"}
    theta, gamma = low_rank(make, width=8, names=("q", "v"))
    theta["head"] = torch.randn(3, 8, generator=make, dtype=torch.float64)

    def logits(theta: Values, gamma: Values, tokens: Tensor) -> Tensor:
        def project(name: str) -> Tensor:
            weight = frozen[name]
            if name in gamma:
                weight = weight + gamma[name] * theta[f"{name}.B"] @ theta[f"{name}.A"]
            return (tokens @ weight.T).unflatten(-1, (2, 4)).transpose(1, 2)

        heads = F.scaled_dot_product_attention(project("q"), project("k"), project("v"))
        hidden = tokens + heads.transpose(1, 2).flatten(2) @ frozen["o"].T
        return F.gelu(hidden).mean(1) @ theta["head"].T

    images = torch.randn(4, 6, 5, 8, generator=make, dtype=torch.float64)
    return Network(logits, images, torch.randint(3, (4, 6), generator=make), theta, gamma)


def timm_vit() -> Network:
    """A timm VisionTransformer of depth 2 with gamma times a low-rank delta on q and v of each fused qkv."""
    from timm.models.vision_transformer import VisionTransformer

    make = torch.Generator().manual_seed(2)
    shape = {"img_size": 8, "patch_size": 4, "in_chans": 1, "embed_dim": 8, "depth": 2, "num_heads": 2}
    model = VisionTransformer(num_classes=3, **shape)
    model = model.double().eval().requires_grad_(False)
    frozen = {  # larger than timm's own start, else gamma hardly matters; norms multiply by about 1
        name: 0.3 * torch.randn(value.shape, generator=make, dtype=torch.float64)
        + float("norm" in name and name.endswith("weight"))
        for name, value in model.named_parameters()
    }
    theta, gamma = low_rank(make, width=8, names=("0.q", "0.v", "1.q", "1.v"))
    theta["head"] = torch.randn(3, 8, generator=make, dtype=torch.float64)

    def logits(theta: Values, gamma: Values, images: Tensor) -> Tensor:
        weights: dict[str, Any] = dict(frozen)
        weights["head.weight"] = theta["head"]
        for block in (0, 1):
            q, v = (
                gamma[site] * theta[f"{site}.B"] @ theta[f"{site}.A"] for site in (f"{block}.q", f"{block}.v")
            )
            fused = torch.cat([q, torch.zeros_like(q), v])
            weights[f"blocks.{block}.attn.qkv.weight"] = frozen[f"blocks.{block}.attn.qkv.weight"] + fused
        return functional_call(model, weights, (images,))

    images = torch.randn(4, 5, 1, 8, 8, generator=make, dtype=torch.float64)
    return Network(logits, images, torch.randint(3, (4, 5), generator=make), theta, gamma)


@pytest.fixture(params=[tiny_transformer, timm_vit], ids=["transformer", "timm"])
def network(request: pytest.FixtureRequest) -> Network:
    problem: Network = request.param()
    return problem


@pytest.fixture
def finite_difference() -> Callable[[Callable[[Values], float], Values], Values]:
    """Central differences of a float64 function, entry by entry."""

    def gradient(function: Callable[[Values], float], at: Values, width: float = 1e-5) -> Values:
        slopes = {name: torch.zeros_like(value) for name, value in at.items()}
        for name, slope in slopes.items():
            for entry in range(slope.numel()):
                for sign in (1, -1):
                    moved = {key: value.clone() for key, value in at.items()}
                    moved[name].view(-1)[entry] += sign * width
                    slope.view(-1)[entry] += sign * function(moved) / (2 * width)
        return slopes

    return gradient
