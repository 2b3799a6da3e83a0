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
from contextlib import nullcontext

import torch
from peftlab.build.model import build_backbone, build_head, build_model
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from peftlab.config.compose import composed
from peftlab.inputs.batch import Batch
from peftlab.scaling.estimator.direct import direct
from peftlab.scaling.outer import Outer

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


def floor(overrides: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """The frozen model with a gradient to its input only."""
    backbone = build_backbone(composed(*overrides))
    model = torch.nn.Sequential(backbone.model, torch.nn.Linear(backbone.num_features, CLASSES))
    model.requires_grad_(False)
    leaf = images.clone().requires_grad_()

    def step() -> None:
        F.cross_entropy(model(leaf), labels).backward()
        leaf.grad = None

    return step


def ours(overrides: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """peftlab's LoRA, as the config says."""
    config = composed("head=linear", "head.init=random", *overrides)
    backbone = build_backbone(config)
    model, _ = build_model(config, backbone, build_head(config, backbone, CLASSES, None))
    return step_of(model, list(model.theta().values()), images, labels)


def huggingface(overrides: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Hugging Face PEFT's LoRA on the same backbone."""
    from peft import LoraConfig, inject_adapter_in_model

    backbone = build_backbone(composed(*overrides))
    targets = [
        f"blocks.{i}.{name}"
        for i in range(backbone.depth)
        for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    model = inject_adapter_in_model(LoraConfig(r=8, lora_alpha=8, target_modules=targets), backbone.model)
    whole = torch.nn.Sequential(model, torch.nn.Linear(backbone.num_features, CLASSES))
    theta = [value for name, value in whole.named_parameters() if "lora_" in name or name.startswith("1.")]
    return step_of(whole, theta, images, labels)


def meta(overrides: list[str], images: Tensor, labels: Tensor) -> Callable[[], None]:
    """A peftlab step with scaling=meta, every outer step counted."""
    config = composed("head=linear", "head.init=random", "scaling=meta", "scaling.outer.warmup=0", *overrides)
    backbone = build_backbone(config)
    model, _ = build_model(config, backbone, build_head(config, backbone, CLASSES, None))
    batch = Batch({"images": images}, labels, torch.arange(len(labels)))
    options = {key: value for key, value in config["scaling"]["outer"].items() if not key.startswith("_")}
    draw = lambda number: (lambda index: batch, F.cross_entropy)  # noqa: E731
    outer = Outer(model, draw, F.cross_entropy, nullcontext, direct, **options)
    inner = step_of(model, list(model.theta().values()), images, labels)

    def steps() -> None:
        for index in range(outer.every):
            inner()
            outer.recent.append(batch)
            if outer.due(index + 1):
                outer.step(index + 1)

    steps.per_call = outer.every  # type: ignore[attr-defined]
    return steps


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
    size = build_backbone(composed(*overrides)).input_spec.size
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
