"""The code in README.md does what it says."""

import re

import pytest
import torch

import peftlab
from peftlab.backbone.plain import plain
from peftlab.config.file import read_config
from peftlab.config.resolve import resolve

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def run_readme(folder, names, monkeypatch, after_create=None):
    """Execute its block of code, in the folder; `after_create` loads the frozen weights where it says so."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
    if after_create is not None:
        code = re.sub(r"# load the frozen weights here.*", "after_create(model)", code)
        assert "after_create" in code
    monkeypatch.chdir(folder)
    names = {**names, "after_create": after_create}
    with torch.no_grad():
        exec(code.replace("THIS_FOLDER", str(folder)), names)
    return names


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("to", ["timm", "peft", "adapter"])
def test_the_readme_gives_the_run_s_logits(run_folder, export, monkeypatch, to, head):
    folder = run_folder("lora", "learned", head=head)
    out = export(folder, to).folder
    resolved = resolve(read_config(folder))

    def load(model):
        model.load_state_dict(resolved.backbone().model.state_dict(), strict=False)

    names = run_readme(out, {"images": IMAGES}, monkeypatch, load if to == "peft" else None)
    with torch.no_grad():
        logits = names["logits"] if "logits" in names else names["model"](IMAGES)
        torch.testing.assert_close(logits, peftlab.load(folder)(IMAGES), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("to", ["timm", "peft", "adapter"])
def test_a_run_on_rounded_weights_says_so(run_folder, export, monkeypatch, to):
    pytest.importorskip("torchao", reason="peftlab[quantise] is not installed")
    folder = run_folder("lora", **{"backbone.quantise": "int8"})
    out = export(folder, to)
    assert out.card["backbone"]["quantise"] == "int8"
    assert ("backbone.quantise=int8" in (out.folder / "README.md").read_text()) == (to != "adapter")
    backbone = resolve(read_config(folder)).backbone()

    def load(model):
        state = {name: plain(value) for name, value in backbone.model.state_dict().items()}
        model.load_state_dict(state, strict=False)

    names = run_readme(out.folder, {"images": IMAGES}, monkeypatch, load if to == "peft" else None)
    with torch.no_grad():
        logits = names["logits"] if "logits" in names else names["model"](IMAGES)
        torch.testing.assert_close(logits, peftlab.load(folder)(IMAGES), rtol=1e-5, atol=1e-4)


def test_per_image_standardisation_is_said(run_folder, export):
    card = export(run_folder("lora", **{"dataset.standardise": True}), "timm").card
    assert (card["input"]["mean"], card["input"]["std"]) == ("of each image", "of each image")
    assert card["input"]["transform"].endswith("standardise each image")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers
@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize(
    ("kind", "pool"),
    [
        ("bert", "mean"),
        ("bert", "first"),
        ("llama", "last"),
        ("gpt2", "mean"),
        ("bart", "last"),
        ("t5", "last"),
    ],
)
@pytest.mark.parametrize("to", ["hf", "peft"])
def test_the_readme_of_a_run_on_texts(hf_run, export, texts, monkeypatch, to, kind, pool, head):
    from fixtures.text_export import TEXTS, own_features

    run = hf_run(kind, "scaling=learned", f"backbone.pool={pool}", head=head)
    out = export(run.folder, to, images=texts).folder
    names = run_readme(out, {"texts": TEXTS}, monkeypatch)
    with torch.no_grad():
        wanted = peftlab.load(run.folder).head(own_features(run.folder))
    torch.testing.assert_close(names["logits"], wanted, rtol=1e-4, atol=1e-3)


def test_the_readme_of_pairs(hf_run, export, monkeypatch, tmp_path):
    from peftlab.dataset.text.dataset import inputs_of
    from peftlab.dataset.text.texts import Columns

    first, second = ["one", "what is it ?"], ["a longer one", "two"]
    (tmp_path / "pairs.csv").write_text(
        "premise,hypothesis\n" + "\n".join(map(",".join, zip(first, second, strict=True)))
    )
    run = hf_run("bert", "dataset=sick")
    out = export(run.folder, "hf", images=str(tmp_path / "pairs.csv")).folder
    names = run_readme(out, {"texts": first, "second_texts": second}, monkeypatch)
    model = peftlab.load(run.folder)
    with torch.no_grad():
        wanted = model(**inputs_of(model.network.backbone.input_spec, 60, Columns(first, second)))
    torch.testing.assert_close(names["logits"], wanted, rtol=1e-4, atol=1e-3)


def test_where_the_frozen_model_is(text_run, export, texts):
    """Of a package by its name, since where it lies differs from machine to machine."""
    out = export(text_run("peft=lora"), "peft", images=texts).folder
    assert (
        'base = str(files("peftlab.backbone") / "weights" / "tiny_text")' in (out / "README.md").read_text()
    )
    assert "they are random" in (out / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers
@pytest.mark.parametrize("to", ["hf", "peft"])
def test_a_run_that_writes_leaves_as_a_language_model(call, tmp_path, monkeypatch, to):
    from fixtures.answers import words_of, write_answers

    from peftlab.export.export import export as write

    done = call(
        *words_of(write_answers(tmp_path / "sums")), "hydra.run.dir=run", "scaling=learned", "optim.lr=0.02"
    )
    assert done.code == 0, done.err
    card = write(tmp_path / "run", to, tmp_path / "out", rank=None, images=None)
    assert card["head"] == {"kind": "unembedding", "where": "the output embedding of the model"}
    assert "head.safetensors" not in card["files"]
    assert card["num_images"] == 24
    model = peftlab.load(tmp_path / "run")
    frozen = model.network.backbone

    def load(own):
        state = {f"model.{key}": value for key, value in frozen.model.state_dict().items()}
        own.load_state_dict(
            {key: value for key, value in state.items() if "unembedding" not in key}, strict=False
        )

    names = run_readme(
        tmp_path / "out",
        {"questions": ["1 and 2?", "31 and 4?"]},
        monkeypatch,
        load if to == "peft" else None,
    )
    ids, mask = (names["given"][name] for name in ("input_ids", "attention_mask"))
    texts = ["Question: 1 and 2?\nAnswer:", "Question: 31 and 4?\nAnswer:"]
    assert names["texts"] == texts
    own = [one.ids for one in frozen.input_spec.tokenizer.encode(texts, None, 99)]
    assert [row[seen.bool()].tolist() for row, seen in zip(ids, mask, strict=True)] == own
    assert len(names["answers"]) == 2
    alone = torch.tensor([own[0]])
    inputs = {"input_ids": alone, "attention_mask": torch.ones_like(alone)}
    with torch.no_grad():
        wanted, start = model(**inputs), frozen.unembedding(frozen.features(inputs))
        found = names["model"](alone).logits[:, -1]
    assert (wanted - start).abs().max() > 1e-3
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers
@pytest.mark.parametrize("kind", ["bart", "t5"])
@pytest.mark.parametrize("to", ["hf", "peft"])
def test_an_encoder_with_a_decoder_writes_the_same_answers(
    call, model_folder, tmp_path, monkeypatch, to, kind
):
    import json

    from fixtures.answers import words_of, write_answers
    from fixtures.text_export import PLAIN

    from peftlab.export.export import export as write
    from peftlab.model.load import read_run
    from peftlab.predict.answers import predict_answers

    base = model_folder(kind, "model." if kind == "bart" else "")
    (base / "tokenizer_config.json").write_text(json.dumps({**PLAIN, "eos_token": "[SEP]"}))
    more = ("hydra.run.dir=run", "scaling=learned", "optim.lr=0.02", "fit.epochs=3", "task.max_new_tokens=9")
    done = call(*words_of(write_answers(tmp_path / "sums"), base), *more)
    assert done.code == 0, done.err
    card = write(tmp_path / "run", to, tmp_path / "out", rank=None, images=None)
    assert card["largest_logit_difference"] < 1e-4 * card["largest_logit"]
    assert card["head"]["where"] == "the output embedding of the model"
    questions = ["1 and 2?", "31 and 4?", "7?"]
    names = run_readme(tmp_path / "out", {"questions": questions}, monkeypatch)
    wanted = predict_answers(read_run(tmp_path / "run"), questions, batch_size=2)
    assert [said.strip() for said in names["answers"]] == wanted
    assert max(map(len, wanted)) > 3


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers
@pytest.mark.filterwarnings("ignore:.*past_key_values:FutureWarning")
@pytest.mark.parametrize("words", [
    ("peft=prefix", "peft.length=3"),
    ("peft=soft_prompt", "peft.num_tokens=3", "scaling=learned"),
])  # fmt: skip
def test_what_stands_before_a_question_writes_the_same_answers(call, tmp_path, monkeypatch, words):
    import json

    from fixtures.answers import words_of, write_answers

    from peftlab.export.export import export as write
    from peftlab.model.load import read_run
    from peftlab.predict.answers import predict_answers

    more = ("hydra.run.dir=run", "optim.lr=0.2", "fit.epochs=3", "task.max_new_tokens=9")
    done = call(*words_of(write_answers(tmp_path / "sums")), *words, *more)
    assert done.code == 0, done.err
    card = write(tmp_path / "run", "peft", tmp_path / "out", rank=None, images=None)
    assert card["largest_logit_difference"] < 1e-4
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
    trained, questions = read_run(tmp_path / "run"), ["1 and 2?", "31 and 4?", "7?"]
    frozen = trained.backbone

    def load(own):
        state = {key: value for key, value in frozen.model.state_dict().items() if "unembedding" not in key}
        own.model.load_state_dict(state)
        own.lm_head.weight = torch.nn.Parameter(frozen.unembedding.weight)

    names = run_readme(tmp_path / "out", {"questions": questions}, monkeypatch, load)
    assert [said.strip() for said in names["answers"]] == predict_answers(trained, questions, batch_size=3)
    ids = names["tokenizer"](names["texts"][0], return_tensors="pt")["input_ids"]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        wanted, start = trained.model(**inputs), frozen.unembedding(frozen.features(inputs))
        found = names["model"](**inputs).logits[:, -1]
    assert (wanted - start).abs().max() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
