"""What a run prints before it starts."""

from peftlab.build.build import Experiment
from peftlab.evaluate.gamma import site_rows
from peftlab.run.show import show_counts, show_line, show_placement
from peftlab.scaling.estimator.math_attention import attention_kernel


def introduce(experiment: Experiment, difference: float) -> None:
    """Backbone, data, transforms, placement, outer split, parameter counts; `difference` is the preflight's."""
    dataset = experiment.dataset
    show_line(
        "backbone", f"{experiment.backbone.name}, {experiment.backbone.depth} blocks, on {experiment.device}"
    )
    groups = ", ".join(f"{len(classes)} {name}" for name, classes in dataset.groups.items())
    val = f", {len(dataset.val)} to validate" if dataset.val is not None else ""
    counts = dataset.counts
    show_line(
        "data",
        f"{dataset.name}, {experiment.num_train} images to train on{val}, {len(dataset.class_names)} classes"
        f" ({groups}), {int(counts.max())} to {int(counts.min())} images a class; split {dataset.index_hash[:12]}",
    )
    show_line("transform", dataset.transform_text)
    show_placement(site_rows(experiment.model), experiment.backbone.labels)
    if difference:
        show_line(
            "start",
            f"features differ from the frozen model's by up to {difference:.3g}, as prompts and prefixes do",
        )
    if experiment.outer is not None and experiment.outer_coverage is not None:
        cover = ", ".join(f"{key} {value}" for key, value in experiment.outer_coverage.items())
        estimator = experiment.outer.estimator
        name, kernel = getattr(estimator, "func", estimator).__name__, attention_kernel(estimator)
        show_line("outer split", cover)
        show_line("hypergradient", f"{name}, with the {kernel} attention kernel in its inner losses")
    show_counts(experiment.model.num_parameters())
