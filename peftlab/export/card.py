"""export.yaml and README.md: what lies beside the weights, and how they are used."""

from typing import Any

from peftlab.backbone.quantise import quantise_of
from peftlab.dataset.image.dataset import used_transform
from peftlab.dataset.text.dataset import used_length
from peftlab.export.head import FILE, has_file, num_outputs, writes
from peftlab.export.text_lines import hf_lines, peft_lines
from peftlab.model.load import Trained


def card_of(
    trained: Trained,
    to: str,
    rank: int | None,
    more: dict[str, Any],
    numbers: dict[str, Any],
    files: list[str],
) -> dict[str, Any]:
    """Backbone, input, classes, head, what was done, and how far its logits are from the run's."""
    node = trained.resolved.backbone.options
    frozen = {key: node[key] for key in ("name", "pretrained", "checkpoint", "model_args") if key in node}
    if (quantise := quantise_of(node)) is not None:
        frozen["quantise"] = quantise
    own = trained.resolved.head
    head: dict[str, Any] = {"kind": own.word}
    if "scale" in own.options:
        head["scale"] = own.options["scale"]
    if to != "adapter":
        head["where"] = FILE if has_file(trained) else "the classifier of the timm model"
        head["where"] = "the output embedding of the model" if writes(trained) else head["where"]
    return {
        "format": to,
        "run_id": trained.card.get("run_id"),
        "backbone": {**frozen, "hash": trained.backbone.hash},
        "input": _input(trained),
        "head": head,
        **({} if rank is None else {"rank": rank}),
        **more,
        **numbers,
        "files": files,
        "class_names": trained.card["class_names"],
    }


def _input(trained: Trained) -> dict[str, Any]:
    given, node = trained.backbone.input_spec, trained.resolved.dataset.options
    if given.noun == "texts":
        texts: Any = given
        return {
            "max_length": used_length(texts, node["max_length"]),
            "inputs": list(texts.inputs),
            "tokenizer": texts.tokenizer.hash,
            "pool": trained.backbone.read.__name__.removeprefix("read_"),
        }
    spec = trained.backbone.image_spec("its transform")
    transform = used_transform(spec, node)
    return {
        "size": spec.size,
        "crop_pct": spec.crop_pct,
        "interpolation": node["interpolation"] or spec.interpolation,
        "mean": "of each image" if transform.standardise else list(transform.mean),
        "std": "of each image" if transform.standardise else list(transform.std),
        "transform": transform.text,
    }


def readme(trained: Trained, to: str) -> str:
    """A few lines for people."""
    reads_texts = trained.backbone.input_spec.noun == "texts"
    of_peft = peft_lines if reads_texts else _peft
    lines = {"timm": _timm, "hf": hf_lines, "peft": of_peft, "adapter": _adapter}[to](trained)
    if to != "adapter" and not num_outputs(trained) and not reads_texts:
        lines += _head(trained)
    title = f"# {trained.backbone.name}, {len(trained.card['class_names'])} classes"
    text = f"Input: {_reads(trained)}. Classes, hashes and the comparison with the run are in `export.yaml`."
    text += _rounded(trained, to)
    return "\n".join([title, "", text, "", "```python", *lines, "```", ""])


def _rounded(trained: Trained, to: str) -> str:
    """Which frozen weights the numbers of a run in int8 belong to."""
    quantise = quantise_of(trained.resolved.backbone.options)
    if quantise is None or to == "adapter":
        return ""
    how = "PEFT puts the adapter beside the published ones" if to == "peft" else "here they are in fp32"
    return f" The run's frozen weights were rounded (backbone.quantise={quantise}); {how}" + (
        ", which differ by the rounding." if to == "peft" else ", as rounded."
    )


def _reads(trained: Trained) -> str:
    if trained.backbone.input_spec.noun == "texts":
        texts: Any = trained.backbone.input_spec
        return f"{', '.join(texts.inputs)} of the backbone's own tokenizer, at most {texts.max_length} tokens a text"
    transform = used_transform(trained.backbone.image_spec("its transform"), trained.resolved.dataset.options)
    return f"8-bit RGB / 255 -> {transform.text}"


def _create(trained: Trained, pretrained: bool) -> str:
    node = trained.resolved.backbone.options
    words = [repr(node["name"]), f"num_classes={num_outputs(trained)}"]
    words += ["pretrained=True"] if pretrained else []
    words += [f"{key}={value!r}" for key, value in node["model_args"].items()]
    return f"model = timm.create_model({', '.join(words)})"


def _timm(trained: Trained) -> list[str]:
    return [
        "import timm",
        "from safetensors.torch import load_file",
        "",
        _create(trained, pretrained=False),
        'model.load_state_dict(load_file("model.safetensors"))',
        "model.eval()",
    ]


def _peft(trained: Trained) -> list[str]:
    node = trained.resolved.backbone.options
    lines = ["import timm", "from peft import PeftModel", "", _create(trained, pretrained=node["pretrained"])]
    if not node["pretrained"]:
        lines.append(
            f"# load the frozen weights here: {node['checkpoint'] or 'those of export.yaml'!r}, hash in export.yaml"
        )
    return [*lines, 'model = PeftModel.from_pretrained(model, "THIS_FOLDER").eval()']


def _adapter(trained: Trained) -> list[str]:
    return ["import peftlab", "", 'model = peftlab.load("THIS_FOLDER")']


def _head(trained: Trained) -> list[str]:
    """The cosine head is no affine map of the features: it divides by their norm."""
    own = trained.resolved.head
    if own.word != "cosine":
        return [f"# the model gives features; {FILE} holds the head ({own.word})"]
    scale = own.options["scale"]
    return [
        "",
        "# the head is no linear layer: it compares directions",
        "from safetensors.torch import load_file",
        "from torch.nn import functional as F",
        "",
        f'weight = load_file("{FILE}")["weight"]',
        f"logits = {scale} * F.linear(F.normalize(model(images), dim=-1), F.normalize(weight, dim=-1))",
    ]
