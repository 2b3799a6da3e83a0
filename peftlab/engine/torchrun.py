"""`torchrun -m peftlab ...`: one command on several processes. Rank 0 is the run; the others compute their share of it.

Each rank goes through the whole command. Those above 0 say nothing, and what they write lies in a folder that ends with them.
"""

import atexit
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from peftlab.config.resolved import Resolved
from peftlab.engine.job import Job
from peftlab.engine.parent import end_with_parent
from peftlab.engine.separate import fail, resolved_of
from peftlab.errors import FAILED, INTERRUPTED, UserError
from peftlab.inputs.garbage import uncollected
from peftlab.record.lock import Lock, is_locked
from peftlab.record.record import Record
from peftlab.record.whole_file import refusal

if TYPE_CHECKING:
    from peftlab.fit.parallel import Ranks

T = TypeVar("T")
OWN = ("tracker", "hydra.run.dir", "hydra.sweep.dir")  # words that are rank 0's alone
KEPT = ("status.json", "config.yaml", "metrics.jsonl", "last/state.pt")  # of a run, what it takes to go on
PREFIX = "peftlab-rank-"
PATIENCE = timedelta(minutes=2)  # for rank 0 to say why all end
SHORT = timedelta(seconds=20)  # for an answer of the store, if it lives
LONG = timedelta(hours=1)  # for rank 0 to write what was found


def is_several() -> bool:
    """Whether torchrun (or what sets the same variables) has started this process as one of several."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return all(os.environ.get(name) for name in names) and int(os.environ["WORLD_SIZE"]) > 1


def together(command: Callable[[], NoReturn]) -> NoReturn:
    """Run the command as one of several, and end with the exit code of rank 0."""
    end_with_parent()
    if int(os.environ["RANK"]) == 0:
        code = _code(command)
        if _has_group():
            with suppress(RuntimeError):  # torchrun is gone, and the store with it
                _store().set("code", str(code))
                _store().set("heard", "")
        sys.exit(code)
    with own_folder() as place, open(os.devnull, "w") as nowhere:
        words = [word for word in sys.argv[1:] if not word.lstrip("+~").startswith(OWN)]
        sys.argv[1:] = [
            *words,
            "tracker=none",
            "~hydra.callbacks.sweep",  # a report of what this rank alone has seen: not of runs that were finished before
            f"hydra.run.dir={place}/run",
            f"hydra.sweep.dir={place}/sweep",
        ]
        sys.stdout = sys.stderr = nowhere
        code = _code(command)
        if _has_group() and code != FAILED:
            with suppress(RuntimeError):
                _store().wait(["code"], LONG)
                code = int(_store().get("code"))
    if code and not _has_group():  # refused: torchrun ends us when rank 0 has said why
        time.sleep(PATIENCE.total_seconds())
    os._exit(code)


@contextmanager
def own_folder() -> Iterator[Path]:
    """Where a rank above 0 writes. It ends with the block; what killed ranks have left is removed by the next one."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's
            lock = Lock(path)
            if not is_locked(path) and lock.take():
                shutil.rmtree(path)
                lock.release()
    made = Path(tempfile.mkdtemp(prefix="peftlab-"))
    lock = Lock(made)
    lock.take()
    place = made.rename(made.with_name(f"{PREFIX}{made.name}"))  # locked before another rank can find it
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.release()


def first(make: Callable[[], T]) -> T:
    """What `make` gives; where torchrun has started several processes, what it gives on rank 0."""
    return join().first(make) if is_several() else make()


def _code(command: Callable[[], NoReturn]) -> int:
    try:
        command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else FAILED


def join() -> "Ranks":
    """The ranks of this command: one process group for all of its jobs, made by the first."""
    with uncollected():
        import torch
        import torch.distributed as dist

        from peftlab.fit.parallel import Ranks

    cuda = torch.cuda.is_available()
    if not dist.is_initialized():
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        atexit.register(_leave)
    return Ranks(dist.get_rank(), dist.get_world_size(), "cuda" if cuda else "cpu")


def run_rank(job: Job) -> str | None:
    """`run_job` as one of several."""
    record, ranks = job.record, None
    try:
        resolved = resolved_of(job)
        ranks = join()
        if not look(record, resolved, ranks):
            from peftlab.search.stages import run_found

            run_found(resolved, record, job.group, ranks=ranks)
    except KeyboardInterrupt:
        record.interrupt()
        sys.exit(INTERRUPTED)
    except Exception as error:
        if ranks is None or (isinstance(error, UserError) and is_everywhere(job, ranks)):
            return fail(job, error)
        fail(job, blamed(error, ranks))
        sys.exit(FAILED)
    finally:
        record.release()
        record.discard()
    return None


def look(record: Record, resolved: Resolved, ranks: "Ranks") -> bool:
    """`record.look` of rank 0, for all. The others get what an interrupted run has left, to go on from.

    Raises:
        UserError: as `look`, and for placement=noah.
    """
    if resolved.placement.word == "noah":
        raise UserError(
            "placement=noah is three runs in turn, for one process each; legal: peftlab without torchrun"
        )
    folder, root = record.folder, resolved.root

    def read() -> tuple[bool, dict[str, bytes]]:
        finished = record.look(root.resume, resolved.fit.last_epoch)
        kept = KEPT if root.resume and not finished else ()
        return finished, {name: (folder / name).read_bytes() for name in kept if (folder / name).is_file()}

    finished, found = ranks.first(read)
    for name, content in found.items() if ranks.rank else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return finished


def is_everywhere(job: Job, ranks: "Ranks") -> bool:
    """Whether all ranks refuse this job, as they do for data that are not there; then the next one may begin."""
    store, place = _store(), f"refused/{job.record.number}/"
    store.set(f"{place}{ranks.rank}", "")
    try:
        store.wait([f"{place}{rank}" for rank in range(ranks.world)], PATIENCE)
    except RuntimeError:
        return False
    return True


def blamed(error: Exception, ranks: "Ranks") -> Exception:
    """The error that ends all ranks: this one's, or that of the rank which failed first and so broke off what others were at.

    A rank above 0 does not come back: it says why to rank 0, and ends.
    """
    import torch.distributed as dist

    own, store = f"rank {ranks.rank}: ", _store()
    first = store.compare_set("error", "", f"{own}{type(error).__name__}: {error}").decode()
    if ranks.rank == 0:
        return error if first.startswith(own) else UserError(f"{first}; all ranks end with it")
    if first.startswith(own) and refusal(error, Path()) is None:
        traceback.print_exc(file=sys.__stderr__)
    dist.destroy_process_group()  # rank 0 waits for us no longer
    with suppress(RuntimeError):  # it is gone
        store.wait(["heard"], PATIENCE)
    os._exit(FAILED)


def _store() -> Any:
    """Where ranks leave each other a word, whatever has become of the group."""
    import torch.distributed as dist

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.PrefixStore("peftlab", dist.TCPStore(address, port, is_master=False, timeout=SHORT))


def _has_group() -> bool:
    dist = sys.modules.get("torch.distributed")
    return dist is not None and dist.is_initialized()


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
