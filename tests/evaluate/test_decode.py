"""Written answers: with a cache and without, in a batch and alone, they are the tokens that teacher forcing finds most likely."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from fixtures.answered import stirred, with_answers
from fixtures.text import DECODERS, ENCODER_DECODERS, random_encoder, text_inputs, whole

from peftlab.evaluate.decode import SILENT, Decoder, questions_of
from peftlab.inputs.text import TOKENS_AT_ONCE

LENGTHS, NUM_NEW = (11, 6, 8, 6), 7
METHODS = {
    "lora": {},
    "adapter_houlsby": {},
    "adapter_parallel": {},
    "ia3": {},
    "ssf": {},
    "prefix": {},
    "mh_pa": {},
    "mam": {},
    "unipelt": {},
    "bitfit": {},
    "soft_prompt": {},
    "vpt_deep": {},
    "gated_prompt": {},
    "hlpt": {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1},
}
PROMPTS = ("soft_prompt", "vpt_deep", "gated_prompt")


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three questions two are read together, and then the third; answers go on from all."""
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 2 * max(LENGTHS))


@pytest.fixture
def written(family, recipe, adapt):
    """`written("gpt2", "lora")`: a decoder with a method in it whose numbers are of every kind, and questions of 4 lengths."""

    def make(kind: str, method: str, scaling: str = "fixed", **keys: Any) -> tuple[Any, Any, dict[str, Any]]:
        backbone = family(kind)
        model, _ = adapt(recipe(method, scaling, **{**METHODS[method], **keys}), backbone)
        rng = stirred(model)
        inputs = text_inputs(backbone.input_spec, LENGTHS, rng)
        for name in inputs:  # the last question is the second one again
            inputs[name][3] = inputs[name][1]
        # two tokens of each text are an answer, which nobody may read
        return backbone, model.eval(), with_answers(inputs, 2)

    return make


def decoder(backbone: Any, model: Any, has_cache: bool = True, **changes: Any) -> Decoder:
    def features(inputs: dict[str, Any], kept: dict[Any, Any]) -> Any:
        return model.network.features([model.cell], inputs, [{"kept": kept}])[0]

    keys: dict[str, Any] = {"end_id": 999, "max_new": NUM_NEW, "max_length": 60, **changes}
    return Decoder(features, backbone.unembedding, backbone.new_cache if has_cache else None, **keys)


def forced(backbone: Any, model: Any, ids: list[int], said: list[int]) -> Any:
    """Scores of every token of an answer, alone in a batch and read at once with its question."""
    whole = torch.tensor([[*ids, *said]])
    answers = torch.tensor([[0] * len(ids) + [1] * len(said)])
    inputs = {"input_ids": whole, "attention_mask": torch.ones_like(whole), "answer_mask": answers}
    with torch.no_grad():
        return backbone.unembedding(model.features(**inputs))


def check_is_most_likely(backbone: Any, model: Any, inputs: dict[str, Any], said: Any) -> None:
    ids, lengths = questions_of(inputs)
    for row, length in enumerate(lengths.tolist()):
        own = said[row].tolist()
        scores = forced(backbone, model, ids[row, :length].tolist(), own)
        best = scores.max(-1).values
        # two tokens may be equally likely but for the last bits
        torch.testing.assert_close(scores[torch.arange(NUM_NEW), own], best, rtol=1e-4, atol=1e-4)
        assert scores.std(-1).min() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_with_a_cache_and_without(written: Any, method: str) -> None:
    backbone, model, inputs = written("gpt2" if method == "bitfit" else "llama", method)
    said = decoder(backbone, model, has_cache=False).greedy(inputs)
    assert said.shape == (len(LENGTHS), NUM_NEW)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(said[1], said[3])
    assert model.network.reads_on(model.cell) == (method not in PROMPTS)
    if method not in PROMPTS:
        assert torch.equal(decoder(backbone, model).greedy(inputs), said)


@pytest.mark.parametrize("per", ["sample", "token"])
@pytest.mark.parametrize("method", ["lora", "adapter_parallel", "mh_pa", "prefix", "unipelt", "hlpt"])
def test_gates_keep_what_they_read_of_the_question(written: Any, method: str, per: str) -> None:
    if per == "token" and method in ("prefix", "unipelt", "hlpt"):
        pytest.skip("prefixes are no token's own")
    backbone, model, inputs = written("llama", method, "gated", **{"scaling.per": per})
    said = decoder(backbone, model).greedy(inputs)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(decoder(backbone, model, has_cache=False).greedy(inputs), said)


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize(("method", "scaling"), [("lora", "gated"), ("mam", "fixed")])
def test_every_family(
    written: Any, kind: str, method: str, scaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, model, inputs = written(kind, method, scaling)
    said = decoder(backbone, model).greedy(inputs)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(decoder(backbone, model, has_cache=False).greedy(inputs), said)
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 4096)
    assert torch.equal(decoder(backbone, model).greedy(inputs), said), "all questions at once"


@pytest.mark.parametrize("window", [4, 9, 15, 16, 17, 30])
def test_a_window_that_slides_over_a_text(adapt: Any, recipe: Any, window: int) -> None:
    """Its cache drops what the window has left, as the padding stands, so longer texts are read again."""
    backbone = random_encoder("mistral", config={"sliding_window": window})
    model, _ = adapt(recipe("lora", "gated"), backbone)
    inputs = with_answers(text_inputs(backbone.input_spec, LENGTHS, stirred(model)), 2)
    said = decoder(backbone, model.eval()).greedy(inputs)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(decoder(backbone, model, has_cache=False).greedy(inputs), said)


def test_a_family_without_attention_reads_all_again(written: Any) -> None:
    """A cache of it would be a state that padding has been read into."""
    backbone, model, inputs = written("mamba", "lora", "gated")
    assert backbone.new_cache is None
    said = decoder(backbone, model).greedy(inputs)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(said[1], said[3])


IN_ENCODER = (*PROMPTS, "unipelt", "hlpt")  # whose gates or prompts have no place in a decoder


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_decoder_behind_an_encoder(written: Any, kind: str, method: str) -> None:
    """The question is read once, also with prompts before it, and then the answer token for token."""
    if method == "bitfit" and kind != "bart":
        pytest.skip("it has no bias")
    keys = {"placement.depth": "enc"} if method in IN_ENCODER else {}
    backbone, model, inputs = written(kind, method, **keys)
    assert model.network.reads_on(model.cell)
    said = decoder(backbone, model).greedy(inputs)
    check_is_most_likely(backbone, model, inputs, said)
    assert torch.equal(said[1], said[3])
    others = inputs["input_ids"].masked_fill(inputs["answer_mask"] == 1, 7)
    assert torch.equal(decoder(backbone, model).greedy({**inputs, "input_ids": others}), said)


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
@pytest.mark.parametrize(
    ("method", "keys"),
    [
        ("lora", {"placement.depth": "enc"}),
        ("lora", {"scaling.per": "token"}),
        ("adapter_parallel", {"scaling.per": "token"}),
        ("mh_pa", {"scaling.per": "token"}),
    ],
)
def test_gates_behind_an_encoder(written: Any, kind: str, method: str, keys: dict[str, Any]) -> None:
    backbone, model, inputs = written(kind, method, "gated", **keys)
    check_is_most_likely(backbone, model, inputs, decoder(backbone, model).greedy(inputs))


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_what_transformers_generates(kind: str) -> None:
    """Its own greedy decoding of the frozen network, text by text; three blocks of a decoder behind two of an encoder."""
    backbone = random_encoder(kind, config={"decoder_layers": 3, "num_decoder_layers": 3})
    assert len(backbone.labels) == 5
    inputs = with_answers(text_inputs(backbone.input_spec, LENGTHS, torch.Generator().manual_seed(3)), 2)
    found = Decoder(
        lambda given, kept: backbone.features(given),
        backbone.unembedding,
        backbone.new_cache,
        999,
        NUM_NEW,
        60,
    ).greedy(inputs)
    ids, lengths = questions_of(inputs)
    theirs = whole(backbone)
    for row, length in enumerate(lengths.tolist()):
        told = theirs.generate(
            ids[row : row + 1, :length],
            attention_mask=torch.ones(1, length, dtype=torch.int64),
            do_sample=False,
            num_beams=1,
            max_new_tokens=NUM_NEW,
            min_new_tokens=NUM_NEW,
            forced_eos_token_id=None,
            eos_token_id=999,
        )
        assert told[0, 1:].tolist() == found[row].tolist()


@pytest.mark.parametrize(
    ("kind", "has_cache"), [("llama", True), ("llama", False), ("bart", True), ("t5", True)]
)
@pytest.mark.parametrize("scaling", ["fixed", "gated"])
def test_an_answer_ends(written: Any, kind: str, has_cache: bool, scaling: str) -> None:
    """At its end token, and where question and answer are as long as the network reads; the others go on."""
    where = {"placement.depth": "enc"} if kind in ("bart", "t5") else {}  # where a gate may be
    backbone, model, inputs = written(kind, "lora", scaling, **where)
    whole = decoder(backbone, model).greedy(inputs)
    end = int(whole[0, 3])
    said = decoder(backbone, model, has_cache, end_id=end).greedy(inputs)
    for row, own in zip(whole.tolist(), said.tolist(), strict=True):
        stop = row.index(end) if end in row else NUM_NEW
        assert own == row[:stop] + [SILENT] * (NUM_NEW - stop)
    # the questions have 9, 4, 6 and 4 tokens
    said = decoder(backbone, model, has_cache, max_length=10).greedy(inputs)
    for row, own, room in zip(whole.tolist(), said.tolist(), (1, 6, 4, 6), strict=True):
        assert own == row[:room] + [SILENT] * (NUM_NEW - room)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("scaling", ["fixed", "gated"])
def test_answers_that_end_leave_the_batch_to_the_last_position(written: Any, kind: str, scaling: str) -> None:
    """One after the other; a network with a position for each of 66 tokens reads no further."""
    backbone, model, inputs = written(kind, "lora", scaling)
    rows = []
    own = decoder(backbone, model, max_new=70, max_length=66)

    def features(given: dict[str, Any], kept: dict[Any, Any]) -> Any:
        rows.append(len(given["input_ids"]))
        return own.features(given, kept)

    said = replace(own, features=features).greedy(inputs)
    assert (said != SILENT).sum(1).tolist() == [57, 62, 60, 62]
    # the second question is the last one again; the first tokens come of two and of one
    assert rows == [2, 1] + [3] * 56 + [2] * 3 + [1] * 2
    assert torch.equal(replace(own, new_cache=None).greedy(inputs), said)


def test_what_stands_in_the_answer_is_not_read(written: Any) -> None:
    backbone, model, inputs = written("llama", "lora", "gated")
    said = decoder(backbone, model).greedy(inputs)
    others = inputs["input_ids"].masked_fill(inputs["answer_mask"] == 1, 7)
    assert torch.equal(decoder(backbone, model).greedy({**inputs, "input_ids": others}), said)


def test_a_network_that_shares_its_lower_blocks_writes_the_same(written: Any) -> None:
    """Several runs on one trunk: a cache is read and written once a block, whoever runs it."""
    from peftlab.network.network import Network

    backbone, model, inputs = written("llama", "lora", **{"placement.depth": 1})
    shared = Network(backbone, num_together=1)

    def features(given: dict[str, Any], kept: dict[Any, Any]) -> Any:
        return shared.features([model.cell], given, [{"kept": kept}])[0]

    own = decoder(backbone, model, max_length=12)  # of which one has room for three tokens
    other = Decoder(features, own.head, own.new_cache, own.end_id, own.max_new, own.max_length)
    assert torch.equal(other.greedy(inputs), own.greedy(inputs))
