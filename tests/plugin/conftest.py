"""Runs that only pretend, for sweepers that look at what runs reach."""

import sys

import pytest

from peftlab.config.file import config_text
from peftlab.config.name import config_hash
from peftlab.config.resolved import Resolved
from peftlab.record.record import Record

Epoch = tuple[int, int, int]  # of a rank and a seed


@pytest.fixture
def kill() -> dict[str, Epoch]:
    """`kill["at"]` is the epoch before which all is interrupted, once."""
    return {}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, kill: dict[str, Epoch]) -> list[Epoch]:
    """(rank, seed, epoch) of every epoch that was trained. A run of rank r has accuracy r / 100 at each; 13 fails, 14 diverges."""
    done: list[Epoch] = []

    def pretend(resolved: Resolved, record: Record, group: str | None) -> None:
        config, plan = resolved.raw, resolved.fit
        rank, seed = config["peft"]["rank"], resolved.seed
        if rank == 13:
            raise ZeroDivisionError("thirteen")
        record.take(config["resume"])
        rows = record.folder / "metrics.jsonl"
        start = len(rows.read_text().splitlines()) if rows.exists() else 0
        record.status("running")
        record.write_text("config.yaml", config_text(config))
        for epoch in range(start + 1, (plan.last_epoch or plan.epochs) + 1):
            if (rank, seed, epoch) == kill.get("at"):
                del kill["at"]
                sys.exit(130)
            record.append({"epoch": epoch, "val/mean_acc": rank / 100})
            done.append((rank, seed, epoch))
        if plan.last_epoch is not None and rank != 14:
            record.status("stopped", epoch=plan.last_epoch)
            return
        record.write("result.json", {"run_id": config_hash(config), "metrics": {"test/mean_acc": rank / 100}})
        record.status("ok" if rank != 14 else "diverged")

    monkeypatch.setattr("peftlab.search.stages.run_found", pretend)
    return done
