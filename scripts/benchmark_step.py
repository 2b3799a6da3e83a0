"""What a training step costs, side by side in one run, as ratios to the floor.

    python scripts/benchmark_step.py [--rounds 30] [--batch 64] [--threads 2] [overrides, as for peftlab]

floor: the same frozen backbone and head, forward and backward to its input only (no weight gets a gradient).
peftlab: LoRA at all six positions, r = 8.  peft: Hugging Face PEFT's LoRA, r = 8, on qkv, proj, fc1, fc2 (its qkv is one
fused LoRA: it has no q, k, v apart).  meta: a peftlab step with gamma meta-learned, outer steps shared out over the
inner ones.  All take the same images; the optimizer's step is included, the floor has none.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from peftlab.backbone.backbone import Backbone
from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.compose import composed
from peftlab.config.resolve import resolve
from peftlab.inputs.batch import Batch
from peftlab.model.load import empty_head
from peftlab.model.model import Model
from peftlab.scaling.outer import Drawn, Outer, Problem

CLASSES = 100


def step_of(
    model: torch.nn.Module, theta: list[Tensor], images: Tensor, labels: Tensor
) -> Callable[[], None]:
    """Forward, backward and an SGD step over `theta`."""
    optimizer = torch.optim.SGD(theta, lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def floor(words: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """The frozen model with a gradient to its input only."""
    backbone = backbone_of(*words)
    model = torch.nn.Sequential(backbone.model, torch.nn.Linear(backbone.num_features, CLASSES))
    model.requires_grad_(False)
    leaf = images.clone().requires_grad_()

    def step() -> None:
        F.cross_entropy(model(leaf), labels).backward()
        leaf.grad = None

    return step


def ours(words: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """peftlab's LoRA, as the config says."""
    model, _ = model_of(*words)
    return step_of(model, list(model.theta().values()), images, labels)


def huggingface(words: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Hugging Face PEFT's LoRA on the same backbone."""
    from peft import LoraConfig, inject_adapter_in_model

    backbone = backbone_of(*words)
    targets = [
        f"blocks.{i}.{name}"
        for i in range(backbone.depth)
        for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    model = inject_adapter_in_model(LoraConfig(r=8, lora_alpha=8, target_modules=targets), backbone.model)
    whole = torch.nn.Sequential(model, torch.nn.Linear(backbone.num_features, CLASSES))
    theta = [value for name, value in whole.named_parameters() if "lora_" in name or name.startswith("1.")]
    return step_of(whole, theta, images, labels)


def meta(words: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """A peftlab step with scaling=meta, every outer step counted."""
    model, scaling = model_of("scaling=meta", "scaling.outer.warmup=0", *words)
    batch = Batch({"images": images}, labels, torch.arange(len(labels)))
    cell, network, plan = model.cell, model.network, scaling.outer

    def value(loss: Any, theta: Any, gamma: Any, batch: Batch, now: Any) -> Tensor:
        values = {**theta, "gamma.raw": gamma["raw"]}
        return loss(functional_call(cell, values, (network, batch.inputs), dict(now)), batch.targets)

    problem = Problem(
        theta=lambda: {name: value.detach() for name, value in cell.theta().items()},
        value=value,
        inner_loss=F.cross_entropy,
        draw=lambda number: Drawn(lambda index: batch, F.cross_entropy),
    )
    outer = Outer(scaling.gamma, plan, scaling.estimator, problem)
    inner = step_of(model, list(model.theta().values()), images, labels)

    def steps() -> None:
        for index in range(plan.every):
            inner()
            outer.recent.append(batch)
            if outer.due(index + 1):
                outer.step(index + 1, {})

    steps.per_call = plan.every  # type: ignore[attr-defined]
    return steps


def backbone_of(*words: str) -> Backbone:
    """The frozen network of a command line."""
    backbone: Backbone = resolve(composed(*words)).backbone()
    return backbone


def model_of(*words: str) -> tuple[Model, Any]:
    """The model of a command line with a linear head over random features, and its scaling."""
    resolved = resolve(composed("head=linear", "head.init=random", *words))
    backbone: Backbone = resolved.backbone()
    head = empty_head(resolved, backbone, CLASSES)
    built = build_cell(resolved, backbone, place_on(resolved, backbone), Start(head))
    return Model(backbone, built.cell), built.scaling


def main() -> None:
    """Measure the variants in turn, round by round, and print medians, spread and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    arguments, overrides = parser.parse_known_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    size = backbone_of(*overrides).input_spec.size
    images = torch.randn(arguments.batch, 3, size, size)
    labels = torch.randint(CLASSES, (arguments.batch,))
    variants = {"floor": floor, "peftlab": ours, "peft": huggingface, "meta": meta}
    steps = {name: make(overrides, images, labels) for name, make in variants.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(arguments.rounds + 3):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if number >= 3:
                times[name].append((time.perf_counter() - begun) / getattr(step, "per_call", 1))
    print_table(times, arguments)


def print_table(times: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    """Ratios are medians of round-by-round ratios: neighbours in time share the machine's mood."""
    table = Table(
        title=f"batch {arguments.batch}, {arguments.threads} threads, {arguments.rounds} rounds, torch {torch.__version__}"
    )
    for column in ("step", "median ms", "quartiles ms", "x floor", "quartiles"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, times["floor"], strict=True)]
        low, middle, high = (1e3 * value for value in statistics.quantiles(values, n=4))
        r_low, r_middle, r_high = statistics.quantiles(ratios, n=4)
        table.add_row(
            name, f"{middle:.1f}", f"{low:.1f} - {high:.1f}", f"{r_middle:.2f}", f"{r_low:.2f} - {r_high:.2f}"
        )
    Console().print(table)
    pair = [meta / fixed for meta, fixed in zip(times["meta"], times["peftlab"], strict=True)]
    print(f"meta / fixed (peftlab): {statistics.median(pair):.2f}")


if __name__ == "__main__":
    main()
