"""hydra/sweeper=product: every combination of the values of a multirun. Launches what is not finished, and composes nothing before."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Product(BasicSweeper):
    """Hydra's own sweeper, without the pass that composes every job before the first: a wrong job is that job's failure."""

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Give the launcher a loader that composes jobs faster (`peftlab.config.job_loader`)."""
        from peftlab.config.job_loader import JobLoader

        loader = JobLoader(hydra_context.config_loader.get_search_path())
        context = replace(hydra_context, config_loader=loader)
        super().setup(hydra_context=context, task_function=task_function, config=config)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """What is wrong with every job is refused before (`peftlab.config.multirun`)."""

    def is_done(self) -> bool:
        """Whether no batch is left that has a job to run."""
        from peftlab.config.pending import pending
        from peftlab.engine.torchrun import is_several

        while not super().is_done():
            first = sum(map(len, (self.overrides or [])[: self.batch_index]))
            assert self.config is not None
            batch = super().get_job_batch()
            # several ranks take the same jobs, of which rank 0 knows what is finished
            self.batch = batch if is_several() else pending(self.config, batch, first)
            if self.batch:
                return False
        return True

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The words of the jobs that `is_done` found."""
        return self.batch

    def launch_all(self, words: list[list[str]]) -> Sequence[Any]:
        """What the launcher gives for jobs of these words, if there are any.

        Raises:
            Exception: what a job raised.
        """
        results: Sequence[Any] = cast(Any, self.launcher).launch(words, initial_job_idx=0) if words else []
        for result in results:
            _ = result.return_value  # raises what the job raised
        return results
