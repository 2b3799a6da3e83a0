"""What the audit looks at is what evaluation sees."""

import torch
from fixtures.configs import composed

from peftlab.build.trunk import open_trunk
from peftlab.config.resolve import resolve
from peftlab.model.frozen import SIDE, frozen_splits


def test_features_labels_and_names_in_the_order_of_the_split() -> None:
    resolved = resolve(
        composed("backbone=tiny", "dataset=digits_lt", "dataset.val_fraction=0.2", "device=cpu")
    )
    names, splits = frozen_splits(resolved)
    trunk = open_trunk(resolved)
    data = trunk.dataset
    assert names == data.class_names
    assert list(splits) == ["train", "val", "test"]
    for name, split in (("train", data.train), ("val", data.val), ("test", data.open_test())):
        assert split is not None
        own = splits[name]
        assert own.labels.tolist() == split.labels.tolist()
        assert own.names == [split.items.contents.describe(row) for row in split.rows.tolist()]  # type: ignore[attr-defined]
        picture = data.eval_transform(split.items.take(split.rows[3:4]))["images"]
        with torch.no_grad():
            assert torch.allclose(own.features[3], trunk.backbone.features({"images": picture})[0], atol=1e-5)
        assert own.thumbnail is not None
        grey = split.items.take(split.rows[3:4])[0].double().mean(0)
        assert torch.equal(own.thumbnail(3).reshape(SIDE, SIDE)[::4, ::4], grey)  # 8 pixels, each four times
