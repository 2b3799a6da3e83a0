import pytest

from peftlab.backbone import quantise
from peftlab.backbone.choice import check_choice
from peftlab.config.name import config_hash
from peftlab.config.resolve import choice, resolve
from peftlab.config.upgrade import upgraded
from peftlab.errors import UserError


@pytest.mark.parametrize(
    "words",
    [
        ("backbone.quantise=int8",),
        ("backbone=minilm", "backbone.quantise=int8"),
        ("backbone=tiny_duo", "task=contrast", "backbone.text.quantise=int8"),
    ],
)
def test_without_torchao_a_sentence_says_what_to_install(composed, monkeypatch, words):
    monkeypatch.setattr(quantise, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"backbone.quantise=int8 needs torchao.*pip install \"peftlab\[quantise\]\""
    ):
        check_choice(choice(composed(*words)["backbone"]))


def test_another_word_is_refused(composed):
    with pytest.raises(UserError, match=r"^backbone.quantise=int4 is not legal; legal: int8 or null"):
        resolve(composed("backbone.quantise=int4"))


@pytest.mark.parametrize("method", ["full", "partial"])
def test_whole_weights_are_not_trained_in_eight_bits(composed, monkeypatch, method):
    monkeypatch.setattr(quantise, "find_spec", lambda name: object())
    with pytest.raises(
        UserError, match=r"^peft trains whole weights .*backbone.quantise=int8.*legal: backbone.quantise=null"
    ):
        resolve(composed(f"peft={method}", "backbone.quantise=int8"))
    with pytest.raises(UserError, match="whole weights"):
        resolve(
            composed("backbone=tiny_duo", "task=contrast", f"peft={method}", "backbone.image.quantise=int8")
        )


@pytest.mark.parametrize(
    "words",
    [("backbone=tiny",), ("backbone=minilm", "dataset=trec_lt"), ("backbone=tiny_duo", "task=contrast")],
)
def test_a_run_of_before_the_key_is_the_one_without_it(composed, words):
    def older(node):
        return {
            key: older(value) if isinstance(value, dict) else value
            for key, value in node.items()
            if key != "quantise"
        }

    config = composed(*words)
    assert older(config) != config
    assert config_hash(older(config)) == config_hash(config)
    assert upgraded({"format": 2, **older(config)}, "RUN") == config
    key = "backbone.image.quantise" if "backbone=tiny_duo" in words else "backbone.quantise"
    assert config_hash(composed(*words, f"{key}=int8")) != config_hash(config)
