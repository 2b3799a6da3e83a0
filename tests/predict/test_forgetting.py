"""What is forgotten: against scikit-learn's regression on the features of the saved models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.configs import composed as composed_config
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from peftlab.config.resolve import choice
from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.suspect.probe import WEIGHT_DECAY
from peftlab.errors import UserError
from peftlab.model.load import read_run
from peftlab.predict.forgetting import Forgetting


def source(*words: str) -> Any:
    return choice(composed_config("dataset=digits", "dataset.max_per_class=20", *words)["dataset"])


def test_before_after_and_refitted_are_those_of_another_solver(
    run_folder: Callable[..., Path],
) -> None:
    trained, data = read_run(run_folder("lora")), source()
    found = Forgetting(data).of(trained)
    dataset = data(trained.backbone.input_spec, 0)
    splits = dataset.train, dataset.open_test()
    batches = [
        EvalBatches(split, dataset.eval_transform, batch_size=len(split), num_workers=0).batch(0)
        for split in splits
    ]
    with torch.no_grad():
        frozen, own = (
            [of(batch.inputs["images"]).double().numpy() for batch in batches]
            for of in (lambda images: trained.backbone.features({"images": images}), trained.model.features)
        )
    fits, scales = [], []
    for train, _ in (frozen, own):
        mean, scale = train.mean(0), train.std(0)
        fit = LogisticRegression(C=1 / (len(train) * WEIGHT_DECAY), tol=1e-10, max_iter=10_000)
        fits.append(fit.fit((train - mean) / scale, splits[0].labels))
        scales.append((mean, scale))
    expected = [
        balanced_accuracy_score(splits[1].labels, fits[fit].predict((test - scales[fit][0]) / scales[fit][1]))
        for fit, test in ((0, frozen[1]), (0, own[1]), (1, own[1]))
    ]
    assert np.abs(np.array(found) - expected).max() < 0.005  # an item or two at the boundary
    assert found.before != found.after != found.refitted


def test_what_changes_no_feature_forgets_nothing_and_frozen_features_are_computed_once(
    run_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peftlab.predict import forgetting

    passes, features = [], forgetting._features
    monkeypatch.setattr(
        forgetting, "_features", lambda of, *rest: (passes.append(of), features(of, *rest))[1]
    )
    measure = Forgetting(source())
    first = measure.of(read_run(run_folder("linear_probe")))
    assert first.before == first.after == first.refitted
    assert measure.of(read_run(run_folder("lora"))).before == first.before
    assert len(passes) == 2 + 2 + 2


def test_other_items_than_the_backbone_reads_are_refused(run_folder: Callable[..., Path]) -> None:
    texts = choice(composed_config("dataset=trec_lt", "backbone=tiny_text")["dataset"])
    with pytest.raises(UserError, match="trec_lt has texts"):
        Forgetting(texts).of(read_run(run_folder("lora")))
