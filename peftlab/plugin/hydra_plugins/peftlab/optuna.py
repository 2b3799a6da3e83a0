"""hydra/sweeper=optuna: trials that a sampler of optuna asks for, told what they reach on validation."""

from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra_plugins.peftlab.product import Product
from omegaconf import OmegaConf


class Optuna(Product):
    """Launches trials in batches, on any launcher, and at the end the test of the best: `peftlab.report.study` has the study."""

    def __init__(
        self,
        *,
        params: dict[str, str] | None,
        n_trials: int,
        n_jobs: int,
        sampler: str,
        seed: int,
        metric: str | None,
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.options, self.metric = (n_trials, n_jobs, sampler, seed), metric

    def sweep(self, arguments: list[str]) -> Any:
        """Run the study to its end, and say what it found.

        Raises:
            UserError: for options or words that cannot be, and with torchrun.
        """
        from peftlab.config.validation import metric_of
        from peftlab.engine.torchrun import is_several
        from peftlab.report.race.entries import part
        from peftlab.report.study.space import space_of
        from peftlab.report.study.study import Options, Study, check_study
        from peftlab.report.study.text import outcome

        config = cast(Any, self.config)
        options = Options(*self.options, metric_of(config.task, self.metric))
        check_study(options, is_several=is_several())
        parser = OverridesParser.create(config_loader=cast(Any, self.hydra_context).config_loader)
        space = space_of(parser.parse_overrides([*self._parse_config(), *arguments]))
        study = Study(Path(str(config.hydra.sweep.dir)), space, options, resume=bool(config.resume))
        returns, known = list[Any](), set[Path]()
        while numbers := study.ask():
            trials = [self._jobs(study, number, is_first=not returns) for number in numbers]
            study.save()
            OmegaConf.save(config, study.folder / "multirun.yaml")
            words = {job.folder: part(own, "end", first=True) for jobs in trials for job, own in jobs}
            returns.append(self.launch_all([own for folder, own in words.items() if folder not in known]))
            known |= {*words}
            for number, jobs in zip(numbers, trials, strict=True):
                study.tell(number, [job.value(options.metric) for job, _ in jobs])
        best = [] if study.best is None else self._jobs(study, study.best, is_first=False)
        returns.append(self.launch_all([part(own, None, first=False) for _, own in best]))
        for line in outcome(study, [job.folder for job, _ in best]):
            print(line)
        return returns

    def _jobs(self, study: Any, number: int, *, is_first: bool) -> list[tuple[Any, list[str]]]:
        """The jobs of a trial with their words."""
        from peftlab.config.asked import PLACE
        from peftlab.config.job import compose_jobs
        from peftlab.report.study.jobs import jobs_of

        typed = study.words(number)
        words = [[*own, f"+{PLACE}={number * len(typed) + at}"] for at, own in enumerate(typed)]
        loader = cast(Any, self.hydra_context).config_loader
        jobs = jobs_of(compose_jobs(loader, cast(Any, self.config), words, 0), is_first=is_first)
        return list(zip(jobs, words, strict=True))
