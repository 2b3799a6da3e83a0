"""What a training step costs: floor, a peer and ours side by side in one run, as ratios, with the arithmetic bound beside each.

    python scripts/benchmark.py [--rounds 20] [--batch 64] [--threads 1] [--variants lora,peft] [--json FILE]
                                [--markdown FILE] [overrides, as for peftlab]

floor: the same frozen backbone and head, forward and backward to its input only (no weight gets a gradient).
lora: all six positions, r = 8.  top: the same on blocks 9-11 alone.  meta1, meta10: lora with gamma meta-learned, an outer step after
each or every tenth step, shared out over them.  adapter_pfeiffer, adapter_parallel, adaptformer: bottleneck 64.
peft: Hugging Face PEFT's LoRA, r = 8, on qkv, proj, fc1, fc2 (its qkv is one fused LoRA: it has no q, k, v apart).

All take the same images; the optimizer's step is included, the floor has none. Ratios are medians of round-by-round ratios, since
neighbours in time share the machine's mood. With one thread the clock is the process's own, which does not run while others have the core.
bound: multiplications of the floor's products down to the first adapted block, and of the thin products, over the floor's.
peak: the most bytes that a step has allocated at one time, above the frozen model, which it finds in place.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from peftlab.backbone.backbone import Backbone
from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.compose import composed
from peftlab.config.resolve import resolve
from peftlab.inputs.batch import Batch
from peftlab.model.load import empty_head
from peftlab.model.model import Model
from peftlab.network.cell import Cell
from peftlab.peft.delta import LowRank
from peftlab.scaling.outer import Drawn, Outer, Problem

CLASSES = 100
META = ("scaling=meta", "scaling.outer.warmup=0")
OURS: dict[str, tuple[str, ...]] = {
    "lora": (),
    "top": ("placement.depth=9-11",),
    "adapter_pfeiffer": ("peft=adapter_pfeiffer",),
    "adapter_parallel": ("peft=adapter_parallel",),
    "adaptformer": ("peft=adaptformer",),
    "meta1": (*META, "scaling.outer.every=1"),
    "meta10": (*META, "scaling.outer.every=10"),
}
PAIRS = (("lora", "peft"), ("top", "lora"), ("meta1", "lora"), ("meta10", "lora"))
Step = Callable[[], None]


class Variant(NamedTuple):
    """A step, or `per_call` of them, and the least it can cost (None: not counted)."""

    step: Step
    bound: float | None = None
    per_call: int = 1


class Setting(NamedTuple):
    """What all variants share."""

    words: list[str]
    images: Tensor
    labels: Tensor


def backbone_of(words: list[str]) -> Backbone:
    """The frozen network of a command line."""
    backbone: Backbone = resolve(composed(*words)).backbone()
    return backbone


def model_of(words: list[str]) -> tuple[Model, Any]:
    """The model of a command line with a linear head over random features, and its scaling."""
    resolved = resolve(composed("head=linear", "head.init=random", *words))
    backbone: Backbone = resolved.backbone()
    head = empty_head(resolved, backbone, CLASSES)
    built = build_cell(resolved, backbone, place_on(resolved, backbone), Start(head))
    return Model(backbone, built.cell), built.scaling


def training_step(model: nn.Module, theta: list[Tensor], setting: Setting) -> Step:
    """Forward, backward and an SGD step over `theta`."""
    optimizer = torch.optim.SGD(theta, lr=1e-4, momentum=0.9, weight_decay=5e-4, foreach=True)

    def step() -> None:
        F.cross_entropy(model(setting.images), setting.labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def frozen_step(setting: Setting, first: int = 0) -> Step:
    """The frozen model with a gradient to its input only, or to that of block `first`."""
    backbone = backbone_of(setting.words)
    model = nn.Sequential(backbone.model, nn.Linear(backbone.num_features, CLASSES)).requires_grad_(False)
    leaf = setting.images.clone().requires_grad_(not first)
    if first:
        block = backbone.model.get_submodule(backbone.blocks[first])
        block.register_forward_pre_hook(lambda module, args: (args[0].detach().requires_grad_(), *args[1:]))

    def step() -> None:
        F.cross_entropy(model(leaf), setting.labels).backward()
        leaf.grad = None

    return step


def flops_of(step: Step) -> int:
    """What its products multiply and add, attention with them (on the kernel whose products can be counted)."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def bound_of(cell: Cell, setting: Setting) -> float:
    """The floor's products down to the first adapted block and each delta's own, over the floor's.

    A merged low-rank delta has two products with each of its matrices, [n, d] by r: A x and dA, (s B)^T g and dB. Another has
    three: forward, the gradient of what it reads, that of the matrix.
    """
    backbone = backbone_of(setting.words)
    tokens: list[int] = []
    block = backbone.model.get_submodule(backbone.blocks[0])
    handle = block.register_forward_pre_hook(lambda module, args: tokens.append(args[0][..., 0].numel()))
    with torch.no_grad():
        backbone.model(setting.images)
    handle.remove()
    own = 0
    for anchor in cell.anchors:
        entries = sum(value.numel() for value in anchor.delta.parameters() if value.ndim == 2)
        own += entries * tokens[0] * (4 if isinstance(anchor.delta, LowRank) else 6)
    first = min(site.block for site in cell.sites)
    return (flops_of(frozen_step(setting, first)) + own) / flops_of(frozen_step(setting))


def ours(setting: Setting, own: tuple[str, ...]) -> Variant:
    """A step of peftlab, as the config says."""
    model, scaling = model_of([*own, *setting.words])
    step = training_step(model, list(model.theta().values()), setting)
    if scaling.outer is None:
        return Variant(step, bound_of(model.cell, setting))
    outer, batch = outer_of(model, scaling, setting)

    def steps() -> None:
        for index in range(scaling.outer.every):
            step()
            outer.recent.append(batch)
            if outer.due(index + 1):
                outer.step(index + 1, {})

    return Variant(steps, None, scaling.outer.every)


def outer_of(model: Model, scaling: Any, setting: Setting) -> tuple[Outer, Batch]:
    """The outer loop on the batch of the inner steps."""
    batch = Batch({"images": setting.images}, setting.labels, torch.arange(len(setting.labels)))
    cell, network = model.cell, model.network

    def value(loss: Any, theta: Any, gamma: Any, batch: Batch, now: Any) -> Tensor:
        values = {**theta, "gamma.raw": gamma["raw"]}
        return loss(functional_call(cell, values, (network, batch.inputs), dict(now)), batch.targets)

    problem = Problem(
        theta=lambda: {name: value.detach() for name, value in cell.theta().items()},
        value=value,
        inner_loss=F.cross_entropy,
        draw=lambda number: Drawn(lambda index: batch, F.cross_entropy),
    )
    return Outer(scaling.gamma, scaling.outer, scaling.estimator, problem), batch


def peer(setting: Setting) -> Variant:
    """Hugging Face PEFT's LoRA on the same backbone."""
    from peft import LoraConfig, inject_adapter_in_model

    backbone = backbone_of(setting.words)
    layers = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    targets = [f"{block}.{name}" for block in backbone.blocks for name in layers]
    model = inject_adapter_in_model(LoraConfig(r=8, lora_alpha=8, target_modules=targets), backbone.model)
    whole = nn.Sequential(model, nn.Linear(backbone.num_features, CLASSES))
    theta = [value for name, value in whole.named_parameters() if "lora_" in name or name.startswith("1.")]
    return Variant(training_step(whole, theta, setting))


VARIANTS: dict[str, Callable[[Setting], Variant]] = {
    "floor": lambda setting: Variant(frozen_step(setting), 1.0),
    "peft": peer,
    **{name: partial(ours, own=own) for name, own in OURS.items()},
}


def peak_of(step: Step) -> int:
    """The most bytes that a step has allocated at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = profiled.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def timed(variants: dict[str, Variant], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds a step of each variant, in turn, round by round, after two rounds that do not count."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 2):
        for name, variant in variants.items():
            begun = clock()
            variant.step()
            if number >= 2:
                times[name].append((clock() - begun) / variant.per_call)
    return times


def ratio(times: list[float], base: list[float]) -> list[float]:
    """Quartiles of the ratios of the rounds."""
    return statistics.quantiles([a / b for a, b in zip(times, base, strict=True)], n=4)


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Measure, print the table, write what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variants", default="lora,peft", help="of " + ", ".join(VARIANTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options, overrides = parser.parse_known_args(words)
    names = list(dict.fromkeys(["floor", *options.variants.split(",")]))
    wrong = [name for name in names if name not in VARIANTS]
    if wrong or options.rounds < 2:
        parser.error(f"--variants {wrong}, --rounds {options.rounds}: legal {', '.join(VARIANTS)}; 2 or more")
    torch.set_num_threads(options.threads)
    size = backbone_of(overrides).input_spec.size
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(options.batch, 3, size, size, generator=rng)
    setting = Setting(overrides, images, torch.randint(CLASSES, (options.batch,), generator=rng))
    variants = {name: VARIANTS[name](setting) for name in names}
    times = timed(variants, options.rounds, time.process_time if options.threads == 1 else time.perf_counter)
    found = report(variants, times, options, overrides)
    text = table(found)
    print(text)
    for path, content in ((options.json, json.dumps(found, indent=2) + "\n"), (options.markdown, text)):
        if path is not None:
            path.write_text(content)
    return found


def report(
    variants: dict[str, Variant], times: dict[str, list[float]], options: argparse.Namespace, words: list[str]
) -> dict[str, Any]:
    """All figures by name."""
    steps = {
        name: {
            "step_ms": 1e3 * statistics.median(times[name]),
            "over_floor": ratio(times[name], times["floor"]),
            "bound": variant.bound,
            "peak_mib": peak_of(variant.step) / 2**20,
        }
        for name, variant in variants.items()
    }
    pairs = {f"{a} / {b}": ratio(times[a], times[b]) for a, b in PAIRS if a in times and b in times}
    setup = {"batch": options.batch, "threads": options.threads, "rounds": options.rounds, "words": words}
    return {**setup, "torch": torch.__version__, "steps": steps, "pairs": pairs}


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    what = " ".join(["peftlab", *found["words"]])
    lines = [
        f"`{what}`, batch {found['batch']}, threads {found['threads']}, rounds {found['rounds']}, torch {found['torch']}",
        "",
        "| step | ms | x floor (quartiles) | bound | peak MiB |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in found["steps"].items():
        low, middle, high = row["over_floor"]
        bound = "" if row["bound"] is None else f"{row['bound']:.3f}"
        lines.append(
            f"| {name} | {row['step_ms']:.0f} | {middle:.2f} ({low:.2f} - {high:.2f}) | {bound} | {row['peak_mib']:.0f} |"
        )
    lines += [""] if found["pairs"] else []
    for name, (low, middle, high) in found["pairs"].items():
        lines.append(f"- {name}: {middle:.2f} ({low:.2f} - {high:.2f})")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
