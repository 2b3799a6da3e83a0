"""Makes the calls of a JSON list on WandbTrackers: [[tracker, call, arguments], ...].

In a process of its own, because wandb never waits for its child wandb-core: a ResourceWarning at the end.
"""

import json
import sys
from pathlib import Path

import psutil

from peftlab.tracker.wandb import WandbTracker

trackers: dict[str, WandbTracker] = {}
for name, call, arguments in json.loads(sys.argv[1]):
    paths = {key: Path(value) for key, value in arguments.items() if key in ("folder", "path")}
    if call == "new":
        trackers[name] = WandbTracker(**arguments)
    elif call == "kill wandb-core":
        for child in psutil.Process().children(recursive=True):
            child.kill()
            child.wait(5)
    else:
        getattr(trackers[name], call)(**{**arguments, **paths})
