"""dataset=... of videos: what its keys say of the splits."""

from typing import Any

from fixtures.configs import composed

from peftlab.config.resolve import choice
from peftlab.dataset.dataset import Dataset
from peftlab.inputs.image import InputSpec


def test_a_smaller_test() -> None:
    spec = InputSpec(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear", 1.0)

    def build(**changes: Any) -> Dataset:
        config = composed("dataset=moving_digits")["dataset"]
        config["source"] |= {"num_train": 4, "num_test": 5}
        made: Dataset = choice(config | changes)(spec, 0)
        return made

    whole, few = build(), build(test_max_per_class=2)
    assert whole.open_test().counts(6).tolist() == [5] * 6
    assert few.open_test().counts(6).tolist() == [2] * 6
    assert set(few.open_test().rows) < set(whole.open_test().rows)
    assert build(test_max_per_class=2, seed=1).open_test().rows.tolist() != few.open_test().rows.tolist()
    assert (whole.note, few.note) == ("", "test: at most 2 a class")
