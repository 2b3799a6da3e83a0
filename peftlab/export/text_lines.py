"""The Python of README.md for networks that read texts."""

from peftlab.dataset.source.loose_texts import columns_of
from peftlab.dataset.text.dataset import used_length
from peftlab.export.head import FILE, writes
from peftlab.export.in_front import is_in_front, num_prompts
from peftlab.model.load import Trained

POOLED = {
    "read_mean": [
        'mask = given["attention_mask"].unsqueeze(-1)',
        "features = (hidden * mask).sum(dim=1) / mask.sum(dim=1)  # the mean over the tokens",
    ],
    "read_first": ["features = hidden[:, 0]  # of the first token"],
    "read_last": [
        'last = given["attention_mask"].sum(dim=1) - 1',
        "features = hidden[range(len(last)), last]  # of the last token",
    ],
}
POOLED["read_decoder"] = POOLED["read_last"]
DECODED = [
    'ids = given["input_ids"]',
    "start = torch.full_like(ids[:, :1], model.config.decoder_start_token_id)",
    'given["decoder_input_ids"] = torch.cat([start, ids[:, :-1]], dim=1)  # the same text one token later',
]


def hf_lines(trained: Trained) -> list[str]:
    """transformers on the folder alone."""
    auto = _auto(trained)
    if writes(trained):
        return [
            f"from transformers import {auto}, AutoTokenizer",
            "",
            *_tokenizer(trained, '"THIS_FOLDER"'),
            f'model = {auto}.from_pretrained("THIS_FOLDER").eval()',
            *_written(trained),
        ]
    return [
        *(["import torch"] if _has_encoder(trained) else []),
        "from safetensors.torch import load_file",
        "from torch.nn import functional as F",
        "from transformers import AutoModel, AutoTokenizer",
        "",
        *_tokenizer(trained, '"THIS_FOLDER"'),
        'model = AutoModel.from_pretrained("THIS_FOLDER").eval()',
        *_features(trained),
        *_logits(trained),
    ]


def peft_lines(trained: Trained) -> list[str]:
    """Hugging Face PEFT on the frozen model."""
    options = trained.resolved.backbone.options
    imports, base = _base(str(options["name"]))
    auto, is_written_here = _auto(trained), writes(trained) and is_in_front(trained)
    head = ["from safetensors.torch import load_file", "from torch.nn import functional as F"]
    lines = [
        *imports,
        *(["import torch"] if is_written_here or (_has_encoder(trained) and not writes(trained)) else []),
        "from peft import PeftModel",
        *([] if writes(trained) else head),
        f"from transformers import {auto}, AutoTokenizer",
        "",
        f"base = {base}",
        *_tokenizer(trained, "base"),
    ]
    if options["pretrained"]:
        lines.append(f"model = {auto}.from_pretrained(base)")
    else:
        lines += [
            f"model = {auto}.from_config(AutoConfig.from_pretrained(base))",
            "# load the frozen weights here: they are random, hash in export.yaml",
        ]
        lines = [line.replace(f"import {auto},", f"import AutoConfig, {auto},") for line in lines]
    end = [*_features(trained, num_prompts(trained)), *_logits(trained)]
    if writes(trained):
        end = _written_one_by_one(trained) if is_written_here else _written(trained)
    return [*lines, 'model = PeftModel.from_pretrained(model, "THIS_FOLDER").eval()', *end]


def _has_encoder(trained: Trained) -> bool:
    """Whether an encoder reads the text, too."""
    return trained.backbone.decoder is not None


def _auto(trained: Trained) -> str:
    """The class of transformers."""
    if not writes(trained):
        return "AutoModel"
    return "AutoModelForSeq2SeqLM" if _has_encoder(trained) else "AutoModelForCausalLM"


def _asked(trained: Trained) -> tuple[list[str], int]:
    """The lines that make texts of questions, in the template of the run, and how many tokens an answer has at most."""
    data, task = trained.resolved.dataset.options, trained.resolved.task.options
    template = str(data.get("template", "{question}{answer}")).removesuffix("{answer}")
    line = f"texts = [{template.rstrip(' ')!r}.replace('{{question}}', question) for question in questions]"
    return ["", line], task.get("max_new_tokens", 64)


def _written_one_by_one(trained: Trained) -> list[str]:
    """Where something stands before the text, PEFT's own generate (0.21 on transformers 5) does not go on as its forward does."""
    texts, most = _asked(trained)
    return [
        *texts,
        "answers = []",
        "for text in texts:  # each alone, token by token: generate of PEFT 0.21 and transformers 5 gives other ones",
        '    ids = tokenizer(text, return_tensors="pt")["input_ids"]',
        "    start = ids.shape[1]",
        f"    while ids.shape[1] < start + {most} and (ids.shape[1] == start or ids[0, -1] != model.config.eos_token_id):",
        "        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits",
        "        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)",
        "    answers.append(tokenizer.decode(ids[0, start:], skip_special_tokens=True))",
    ]


def _written(trained: Trained) -> list[str]:
    """Answers to questions in the template of the run."""
    texts, most = _asked(trained)
    if _has_encoder(trained):
        names = list(trained.backbone.text_spec("its tokens").inputs)
        return [
            *texts,
            'given = tokenizer(texts, padding=True, return_tensors="pt")',
            f"given = {{name: given[name] for name in {names}}}",
            f"written = model.generate(**given, max_new_tokens={most}, do_sample=False, num_beams=1)",
            "answers = tokenizer.batch_decode(written, skip_special_tokens=True)",
        ]
    return [
        *texts,
        'given = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")',
        f"written = model.generate(**given, max_new_tokens={most}, do_sample=False)",
        'answers = tokenizer.batch_decode(written[:, given["input_ids"].shape[1] :], skip_special_tokens=True)',
    ]


def _tokenizer(trained: Trained, place: str) -> list[str]:
    """Decoders have padding on the left or none at all where they come from."""
    if not trained.backbone.is_causal:
        return [f"tokenizer = AutoTokenizer.from_pretrained({place})"]
    pad_id = trained.backbone.text_spec("its tokens").tokenizer.pad_id
    return [
        f'tokenizer = AutoTokenizer.from_pretrained({place}, padding_side="right")',
        f"tokenizer.pad_token = tokenizer.convert_ids_to_tokens({pad_id})  # whatever: it is seen by nobody",
    ]


def _base(name: str) -> tuple[list[str], str]:
    """What to import, and where the frozen model is."""
    kind, _, rest = name.partition(":")
    if kind == "python":
        package, _, below = rest.partition("/")
        return ["from importlib.resources import files", ""], f'str(files("{package}") / "{below}")'
    if kind == "package":
        return [
            "from importlib.resources import files",
            "",
        ], f'str(files("peftlab.backbone") / "weights" / "{rest}")'
    return [], repr(name)


def _features(trained: Trained, num_before: int = 0) -> list[str]:
    """`num_before`: of what the model gives, these stand before the text."""
    spec = trained.backbone.text_spec("its tokens")
    is_pair = columns_of(trained.resolved.dataset)[1] is not None
    given = "texts, second_texts" if is_pair else "texts"
    length = used_length(spec, trained.resolved.dataset.options["max_length"])
    behind = f"[:, {num_before}:]" if num_before else ""
    names = [*spec.inputs, *(["decoder_input_ids"] if _has_encoder(trained) else [])]
    return [
        "",
        f"# lists of {'texts and of the second text of each' if is_pair else 'texts'}",
        f'given = tokenizer({given}, padding=True, truncation=True, max_length={length}, return_tensors="pt")',
        *(DECODED if _has_encoder(trained) else []),
        f"hidden = model(**{{name: given[name] for name in {names}}}).last_hidden_state{behind}",
        *POOLED[trained.backbone.read.__name__],
    ]


def _logits(trained: Trained) -> list[str]:
    own = trained.resolved.head
    lines = ["", f'head = load_file("{FILE}")']
    if own.word == "cosine":
        scale = own.options["scale"]
        weight = 'F.normalize(head["weight"], dim=-1)'
        return [*lines, f"logits = {scale} * F.linear(F.normalize(features, dim=-1), {weight})"]
    if own.word == "linear":
        return [*lines, 'logits = F.linear(features, head["weight"], head["bias"])']
    return [*lines, f"# of the kind {own.word}"]
