"""Whether a backbone reads what a data set has: pictures or texts."""

from peftlab.errors import UserError
from peftlab.option import Choice

# what people call the items -> where the targets of such data and of such backbones lie, and what to choose
IMAGES = (
    ("peftlab.dataset.image.",),
    ("peftlab.backbone.timm.", "peftlab.backbone.duo."),
    "dataset=digits_lt",
    "backbone=vit_tiny_patch8_32",
)
CLIPS = (("peftlab.dataset.video.",), IMAGES[1], "dataset=moving_digits", IMAGES[3])
TEXTS = (("peftlab.dataset.text.",), ("peftlab.backbone.hf.",), "dataset=trec_lt", "backbone=minilm")
ANSWERS = "peftlab.dataset.text.answers."
HEADS = {
    "classify": ("cosine", "linear"),
    "generate": ("unembedding",),
    "contrast": ("similarity", "tip_adapter"),
}
TEXT_FILES = (".txt", ".csv", ".tsv", ".jsonl")  # what files of texts end in
KINDS = {"images": IMAGES, "clips": CLIPS, "texts": TEXTS}


def check_task(dataset: Choice, task: Choice, head: Choice, loss: Choice) -> None:
    """That a task has the data, the head and the loss that it can work with. Nothing is said of one's own functions.

    Raises:
        UserError: that names both.
    """
    is_writing, name = task.word == "generate", dataset.options.get("name")
    if task.word not in ("generate", "classify", "contrast"):
        return
    has_answers = dataset.target.startswith(ANSWERS)
    if given_by(dataset) is not None and has_answers != is_writing:
        given, other = ("answers", "generate") if has_answers else ("classes", "classify")
        more = "svamp" if is_writing else "trec_lt"
        raise UserError(
            f"task={task.word} does not go with dataset={name}, which has {given}; legal: task={other}, or another data set, as"
            f" dataset={more}"
        )
    if task.word == "contrast" and given_by(dataset) == "clips":
        raise UserError(
            f"task=contrast compares images with texts, and dataset={name} has clips; legal: task=classify"
        )
    legal = HEADS[task.word]
    if head.target.startswith("peftlab.") and head.word not in legal:
        raise UserError(f"head={head.word} does not go with task={task.word}; legal: head={', '.join(legal)}")
    if is_writing and loss.target.startswith("peftlab.") and loss.word != "cross_entropy":
        raise UserError(
            f"loss={loss.word} is over classes, and task=generate gives tokens; legal: loss=cross_entropy"
        )


def check_frames(dataset: Choice, temporal: str | None) -> None:
    """`temporal` is what acts over the frames of clips, if anything does.

    Raises:
        UserError: if the data have no frames.
    """
    given = given_by(dataset)
    if temporal is not None and given not in (None, "clips"):
        raise UserError(
            f"{temporal} acts over the frames of clips, and dataset={dataset.options.get('name')} has {given}; legal: a data set"
            f" of clips, as {CLIPS[2]}, or another method"
        )


def check_reads(
    dataset: Choice, backbone: Choice, *, given: str | None = None, read: str | None = None
) -> None:
    """Asked of targets before data or weights are read; `given` and `read` are what these then say themselves.

    Nothing is said of data or of a backbone that is one's own and of a kind of its own.

    Raises:
        UserError: that names both.
    """
    given = given or given_by(dataset)
    read = read or read_by(backbone)
    if given not in KINDS or read not in KINDS or read == ("images" if given == "clips" else given):
        return
    raise UserError(
        f"dataset={dataset.options.get('name')} has {given}, and backbone.name={backbone.options.get('name')} reads {read};"
        f" legal: a data set of {read}, as {KINDS[read][2]}, or a backbone that reads {given}, as {KINDS[given][3]}"
    )


def given_by(dataset: Choice) -> str | None:
    """What people call the items of a choice of data, before it is made; None of one's own."""
    return _kind(dataset, 0)


def read_by(backbone: Choice) -> str | None:
    """What a choice of backbone reads, before it is made; None of one's own."""
    return _kind(backbone, 1)


def _kind(choice: Choice, place: int) -> str | None:
    return next(
        (kind for kind, found in KINDS.items() if choice.target.startswith(tuple(found[place]))), None
    )
