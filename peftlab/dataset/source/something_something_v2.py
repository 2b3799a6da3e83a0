"""Something-Something v2: 174 actions that the order of frames tells apart, by its lists in JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from peftlab.dataset.source.list_file import text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.video_split import Broken, Listed, on_disk, video_source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain


def something_something_v2(
    path: str | None,
    *,
    folder: str | None,
    labels: str,
    train_list: str,
    test_list: str,
    video_root: str,
    broken: Broken,
) -> Source:
    """`labels` is {"Holding something": "41", ...}, a list [{"id": "78687", "template": "Holding [something]", ...}, ...], and
    the videos are `video_root/78687.webm`. The labels of its test are not published: the validation list tests.

    Raises:
        UserError: for a file that is missing, or of another form.

    Source: Goyal et al. 2017, arXiv:1706.04261; https://www.qualcomm.com/developer/software/something-something-v-2-dataset.
    """
    root = folder_of(path, folder)
    numbers = _json(root, labels, "labels", dict)
    if sorted(numbers.values(), key=str) != sorted(map(str, range(len(numbers))), key=str):
        raise UserError(
            f"{plain(str(root / labels))} does not number its classes from 0; legal: {{CLASS: NUMBER}}"
        )
    names = sorted(numbers, key=lambda name: int(numbers[name]))
    splits = {}
    for split, name in (("train", train_list), ("test", test_list)):
        found = Listed([], [])
        for place, item in enumerate(_json(root, name, f"{split}_list", list)):
            template = item.get("template") if isinstance(item, dict) else None
            label = str(template).replace("[", "").replace("]", "")
            if label not in numbers or "id" not in item:
                raise UserError(
                    f"{plain(str(root / name))}, entry {place}: its template is no class of {labels}; legal: an id and a template"
                )
            found.paths.append(on_disk(root / video_root, f"{item['id']}.webm"))
            found.labels.append(int(numbers[label]))
        splits[split] = found
    return video_source(names, splits, broken, Counter())


def _json(root: Path, name: str, key: str, kind: type) -> Any:
    file: Path = root / name
    try:
        found = json.loads(text_of(file, f"dataset.source.{key}={name}", root))
    except ValueError as error:
        raise UserError(
            f"{plain(str(file))} is no JSON ({error}); legal: the file as it is published"
        ) from error
    if not isinstance(found, kind):
        raise UserError(
            f"{plain(str(file))} is no {'list of videos' if kind is list else 'table of classes'}"
        )
    return found
