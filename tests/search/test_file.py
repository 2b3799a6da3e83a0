"""evaluated.jsonl and found.yaml are read as they were written."""

import pytest

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.record.record import Record
from peftlab.search.file import read_found, read_scores, write_found, write_scores

IDENTITY = {"supernet": "1a", "split": "2b"}
SCORES = {((5, 1, 0, 0), (10, 1, 5, 1)): 0.25, ((1, 1, 0, 0), (1, 1, 0, 0)): 1 / 3}


def test_scores_come_back_in_their_order(tmp_path, space):
    record = Record(tmp_path, {}, {})
    assert read_scores(record, IDENTITY, "mean_acc") == {}
    write_scores(record, IDENTITY, SCORES, space, "mean_acc")
    assert list(read_scores(record, IDENTITY, "mean_acc").items()) == list(SCORES.items())
    with pytest.raises(UserError, match=r"evaluated\.jsonl is of another supernet"):
        read_scores(record, {**IDENTITY, "split": "3c"}, "mean_acc")


def test_what_was_found_is_a_node_of_the_group_placement(tmp_path, space, composed):
    record = Record(tmp_path, {}, {})
    assert read_found(record) is None
    genotype = next(iter(SCORES))
    write_found(record, space, genotype, 0.25, 3, "mean_acc")
    node = read_found(record)
    assert node["cells"] == space.cells(genotype)
    text = (tmp_path / "search" / "found.yaml").read_text()
    assert text.startswith(
        f"# found with seed 3: val/mean_acc 0.2500 with the weights of the supernet, {space.cost(genotype)} "
    )
    cells = {key: value for key, value in node["cells"].items() if key.split(".")[0] in "01"}
    resolve({**composed("peft=noah", "backbone=tiny"), "placement": {**node, "cells": cells}})


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[1]\n[2]", b"[" * 3000, None], ids=str)
def test_damaged_scores_are_a_sentence_with_the_way_out(tmp_path, space, data):
    record = Record(tmp_path, {}, {})
    write_scores(record, IDENTITY, SCORES, space, "mean_acc")
    path = tmp_path / "search" / "evaluated.jsonl"
    path.write_bytes(path.read_bytes()[:-9] if data is None else data)
    with pytest.raises(
        UserError, match=r"evaluated\.jsonl is (damaged; legal: delete it|of another supernet)"
    ):
        read_scores(record, IDENTITY, "mean_acc")


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: 1", "_target_: os.system\ncells: {}", "[" * 3000, "cells: 3"]
)
def test_what_no_search_found_is_no_placement(tmp_path, text):
    record = Record(tmp_path, {}, {})
    record.write_text("search/found.yaml", text)
    with pytest.raises(UserError, match=r"found\.yaml .*legal"):
        read_found(record)
