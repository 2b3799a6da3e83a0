"""hydra/sweeper=racing: all cells start together; at each rung those that are behind on validation stop."""

from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra_plugins.peftlab.product import Product
from omegaconf import OmegaConf

from peftlab.errors import say

MAX_TRIES = 2  # of a job that somebody else or the machine has ended


class Racing(Product):
    """Launches the jobs that are left up to the next rung, on any launcher: `peftlab.report.race` decides which they are."""

    def __init__(
        self,
        *,
        rungs: Any,
        keep: float | None,
        clear: bool,
        metric: str | None,
        params: dict[str, str] | None,
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.policy, self.metric = (list(rungs), keep, clear), metric

    def sweep(self, arguments: list[str]) -> Any:
        """Run the race to its end, and say what it cost."""
        from peftlab.config.asked import PLACE
        from peftlab.config.job import compose_jobs
        from peftlab.engine.torchrun import first
        from peftlab.report.race.entries import entries_of, part
        from peftlab.report.race.policy import policy_of
        from peftlab.report.race.race import Race
        from peftlab.report.race.text import write_race

        context, config, returns = cast(Any, self.hydra_context), cast(Any, self.config), list[Any]()
        parser = OverridesParser.create(config_loader=context.config_loader)
        (typed,) = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), None)
        jobs = [[*words, f"+{PLACE}={place}"] for place, words in enumerate(typed)]
        folder = Path(str(config.hydra.sweep.dir))
        entries, metric = entries_of(compose_jobs(context.config_loader, config, jobs, 0), self.metric)
        policy = policy_of(*self.policy, metric)
        race = Race(folder, policy, entries, resume=bool(config.resume))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "multirun.yaml")
        for rung in range(len(policy.rungs) + 1):
            places = first(partial(race.round, rung))
            for _ in range(MAX_TRIES):
                words = [part(jobs[place], race.epoch(place, rung), first=not returns) for place in places]
                returns.append(self.launch_all(words))
                places = first(partial(race.cut_off, places, rung))
            places = places or first(partial(race.decide, rung))
            if places:  # what is decided without them would be another race
                say(
                    f"{folder}: {len(places)} of its jobs cut off, and the race with them; the same command goes on"
                )
                return returns
        for line in first(lambda: write_race(race)[1]):
            print(line)
        return returns
