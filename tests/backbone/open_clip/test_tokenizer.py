"""Token ids of open_clip's tokenizers, against what they give themselves."""

import json
import shutil

import pytest
from open_clip import SimpleTokenizer
from open_clip.tokenizer import HFTokenizer

from peftlab.backbone.open_clip.tokenizer import ClipTokenizer
from peftlab.backbone.timm.checkpoint import PACKAGED
from peftlab.errors import UserError
from peftlab.inputs.text import Tokenizer

TEXTS = ["a photo of a cat.", "", "An  Aerial &amp; picture", "dog " * 60]
LONG = 40


@pytest.fixture(scope="module")
def simple():
    return SimpleTokenizer(context_length=LONG)


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    shutil.copy(PACKAGED / "tiny_text" / "tokenizer.json", folder)
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    given = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(given))
    return HFTokenizer(str(folder), context_length=LONG)


@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("kind", ["simple", "hugging_face"])
def test_ids_are_its_own_and_padding_is_kept_where_it_is_read(request, kind, is_padded):
    own = request.getfixturevalue(kind)
    ours, theirs = ClipTokenizer(own, is_padded=is_padded), own(TEXTS, context_length=LONG).tolist()
    assert isinstance(ours, Tokenizer)
    encoded = ours.encode(TEXTS, None, LONG)
    for one, ids in zip(encoded, theirs, strict=True):
        padding = [ours.pad_id] * (LONG - len(one.ids))
        assert one.ids + padding == ids
        assert one.types == [0] * len(one.ids)
        assert len(one.ids) == LONG if is_padded else one.ids[-1] != ours.pad_id
    assert [one.num_dropped > 0 for one in encoded] == [False, False, False, True]
    assert ours.encode([], None, LONG) == []


def test_a_cut_text_ends_with_the_token_that_ends_it(simple):
    ours = ClipTokenizer(simple, is_padded=False)
    assert ours.encode(TEXTS, None, LONG)[3].ids[-1] == simple.eot_token_id
    assert ours.encode(TEXTS[3:], None, LONG)[0].num_dropped == 60 + 2 - LONG


def test_its_hash_is_that_of_what_it_does(simple, hugging_face):
    kinds = [
        ClipTokenizer(simple, is_padded=False),
        ClipTokenizer(simple, is_padded=True),
        ClipTokenizer(SimpleTokenizer(context_length=LONG, clean="canonicalize"), is_padded=False),
        ClipTokenizer(hugging_face, is_padded=False),
    ]
    assert len({one.hash for one in kinds}) == 4
    assert (
        ClipTokenizer(SimpleTokenizer(context_length=LONG), is_padded=False).hash
        == ClipTokenizer(simple, is_padded=False).hash
    )


def test_pairs_are_refused(simple):
    with pytest.raises(UserError, match="one text at a time"):
        ClipTokenizer(simple, is_padded=False).encode(["a"], ["b"], LONG)
