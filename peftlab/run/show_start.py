"""What a run prints before it starts."""

from peftlab.build.experiment import Experiment
from peftlab.build.outer import hypergradient_line
from peftlab.run.show import show_counts, show_line, show_placement
from peftlab.run.sites import site_rows


def show_start(experiment: Experiment, difference: float) -> None:
    """Backbone, data, transforms, placement, outer split, parameter counts; `difference` is the preflight's."""
    backbone, data = experiment.trunk.backbone, experiment.trunk.dataset
    show_line("backbone", f"{backbone.name}, {backbone.depth} blocks, on {experiment.trunk.device}")
    show_line("data", experiment.task.data_line(len(experiment.train)))
    texts = backbone.texts
    if texts is not None and texts.per_image:
        counts = experiment.trunk.overlap.num_items
        each = len(texts.inputs["input_ids"])
        said = [
            f"{each * experiment.resolved.fit.batch_size:,} in a step",
            f"{each * counts.get('test', 0):,} in the test",
        ]
        show_line(
            "texts",
            f"{each} are read anew for each image: {', '.join(said if 'test' in counts else said[:1])}",
        )
    show_line("audit", experiment.trunk.overlap.line)
    for warning in experiment.trunk.overlap.warnings:
        show_line("warning", warning)
    show_line("transform", data.transform_text)
    show_placement(site_rows(experiment.cell), backbone.labels)
    if difference:
        show_line(
            "start",
            f"features differ from the frozen model's by up to {difference:.3g}, as prompts and prefixes do",
        )
    if experiment.outer_split is not None:
        cover = experiment.outer_split.coverage().items()
        show_line("outer split", ", ".join(f"{key} {value}" for key, value in cover))
        show_line("hypergradient", hypergradient_line(experiment.resolved))
    show_counts(experiment.cell.num_parameters(), backbone.num_weights)
