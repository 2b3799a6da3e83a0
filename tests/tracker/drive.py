"""Makes the calls of a JSON file on WandbTrackers, each used as a run uses it: [[tracker, call, arguments], ...].

In a process of its own, because wandb never waits for its child wandb-core: a ResourceWarning at the end.
"""

import json
import pwd
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from peftlab.tracker.tracker import Opening, Safe, Series
from peftlab.tracker.wandb import WandbTracker

trackers: dict[str, Safe] = {}


def unknown(uid: int) -> Any:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def make(name: str, call: str, arguments: dict[str, Any]) -> None:
    """One call."""
    if call == "new":
        trackers[name] = Safe(partial(WandbTracker, **arguments), "wandb")
    elif call == "no user":
        pwd.getpwuid = unknown
    elif call == "kill wandb-core":
        for child in psutil.Process().children(recursive=True):
            child.kill()
            child.wait(5)
    elif call == "start":
        series = tuple(Series(*given) for given in arguments.pop("series", ()))
        arguments |= {"folder": Path(arguments["folder"]), "tags": tuple(arguments["tags"])}
        trackers[name].start(Opening(**arguments, series=series))
    elif call == "image":
        picture = nullcontext(Path(arguments.pop("path")))
        trackers[name].image(picture=picture, **arguments)
    elif call == "page":
        trackers[name].page(path=Path(arguments.pop("path")), **arguments)
    else:
        getattr(trackers[name], call)(**arguments)


for given in json.loads(Path(sys.argv[1]).read_text()):
    make(*given)
