"""EleutherAI's lm-evaluation-harness opens what a run that writes answers leaves as, and finds the likelihoods that the run found."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import words_of, write_answers
from fixtures.go import go

pytestmark = pytest.mark.slow
# the form of the questions is that of the run, and the token behind an answer is its end
TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{file}"}}}}
test_split: test
output_type: loglikelihood
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: " {{{{answer}}}}[SEP]"
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""
END = {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "eos_token": "[SEP]"}


@pytest.fixture
def written(model_folder: Any, composed: Callable[..., Any], tmp_path: Path) -> tuple[Path, Path, Path]:
    """A small random Llama, the folder of a run on it, and its questions."""
    base = model_folder("llama", "model.")
    (base / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    ends = [piece for piece in tokenizer["post_processor"]["single"] if piece != END]
    assert len(ends) == 2, "the token that begins a text, and the text, as of Llama"
    tokenizer["post_processor"]["single"] = ends
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "bos_token_id": 2, "eos_token_id": 3}))
    data = write_answers(tmp_path / "sums")
    words = composed(*words_of(data, base), "optim.lr=0.1", "fit.epochs=3")
    go(tmp_path / "run", words)
    return base, tmp_path / "run", data


def harness(model: str, data: Path, folder: Path) -> list[float]:
    """The log-likelihood of each answer, by its command."""
    (folder / "tasks").mkdir()
    (folder / "tasks" / "sums.yaml").write_text(TASK.format(file=data / "test.jsonl"))
    words = ["--model", "hf", "--model_args", f"{model},dtype=float32", "--tasks", "sums", "--device", "cpu"]
    words += ["--include_path", str(folder / "tasks"), "--output_path", str(folder / "out"), "--log_samples"]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *words],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (samples,) = (folder / "out").rglob("samples_sums_*.jsonl")
    rows = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda row: row["doc_id"])
    return [float(row["resps"][0][0][0]) for row in rows]


@pytest.mark.parametrize("kind", ["hf", "peft"])
def test_it_finds_the_likelihoods_of_the_run(
    written: tuple[Path, Path, Path], export: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    base, folder, data = written
    out = export(folder, kind).folder
    found = harness(f"pretrained={out}" if kind == "hf" else f"pretrained={base},peft={out}", data, tmp_path)
    with (folder / "predictions.csv").open(newline="") as rows:
        wanted = [-float(row["nll"]) for row in csv.DictReader(rows)]
    assert found == pytest.approx(wanted, rel=1e-4)
    assert len(set(wanted)) > 3
