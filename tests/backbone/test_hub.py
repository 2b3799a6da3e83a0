"""Ask the hub, or leave it alone."""

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from peftlab.backbone.hub import hub_or_cache


class NoAnswer(HfHubHTTPError):
    def __init__(self):
        Exception.__init__(self, "404")


@pytest.mark.parametrize(
    ("error", "offline"), [(None, False), (NoAnswer(), False), (OSError(), True), (TimeoutError(), True)]
)
def test_offline_only_where_nobody_answers(monkeypatch, error, offline):
    def model_info(self, name, timeout):
        if error is not None:
            raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    with hub_or_cache("some_model"):
        assert constants.HF_HUB_OFFLINE is offline
    assert constants.HF_HUB_OFFLINE is False


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *args, **kwargs: asked.append(args))
    with hub_or_cache("some_model"):
        assert constants.HF_HUB_OFFLINE is True
    assert not asked


def test_it_ends_with_an_error_too(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(KeyError), hub_or_cache("some_model"):
        raise KeyError
    assert constants.HF_HUB_OFFLINE is False
