"""Wrong command lines, made from the code itself, and what `peftlab` answers to each: a process, an empty folder, a clock.

    python scripts/wrong_commands.py --limit 200 --out wrong_commands.json

Every key of every function that configs/ names gets values that its signature does not take (peftlab/config/signature.py):
of a wrong type, sign or size, NaN, a list, a mapping, nothing; every group a wrong choice, two choices, none; every key a
misspelling; every path one that is not there; Hydra words that are wrong; and pairs of all these, drawn by --seed. The
answer must be exit code 2 and one sentence that names the key and the value and says what is legal, before torch is
imported and a byte is written, in at most 2 s of a core (the processes share the machine, so their own seconds count).
"""

import argparse
import ast
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from peftlab.config.directory import config_dir
from peftlab.config.registry import PARTS, TARGET, targets_of
from peftlab.config.schema import BUDGET, HYBRID, PART, ROOT
from peftlab.config.signature import alternatives, range_of, signature

LIMIT_S, PATIENCE_S, NUM_PAIRS = 2.0, 120, 200
SMALL = ("backbone=tiny", "device=cpu", "fit.epochs=1")  # should a line be taken for a legal one
# what a choice has no value for
NEEDED = {
    "keep": "4",
    "run": "/nope",
    "file": "/nope",
    "name": "vit_tiny_patch16_224",
}
NEEDED_BESIDE = {
    "placement=noah": ("peft=noah",),
    "placement=supernet": ("peft=noah",),
    "placement=from_gamma": ("placement.keep=4",),
    **{
        f"peft={name}": ("backbone=tiny_duo", "task=contrast")
        for name in ("coop", "cocoop", "maple", "clip_adapter")
    },
    **{f"peft={name}": ("dataset=moving_digits",) for name in ("st_adapter", "aim")},
}
PATHS = ("backbone.checkpoint", "dataset.path", "placement.run", "placement.file")
HYDRA = (  # words, and what the answer has to name
    *(("hydra.run.dir=FILE", "hydra.run.dir"), ("hydra.run.dir=FILE/below", "hydra.run.dir")),
    *(("hydra.run.dir=/proc/nope", "hydra.run.dir"), ("hydra.run.dir=", "hydra.run.dir")),
    *(("hydra.run.dir=null", "hydra.run.dir"), ("hydra.run.dir=[a]", "hydra.run.dir")),
    *(("-m seed=0,1 hydra.sweep.dir=FILE", "hydra.sweep.dir"), ("-m seed=0,1 hydra.sweep.dir=", "hydra.sweep.dir")),
    *(("-m seed=0,1 hydra.sweep.dir=FILE/below", "hydra.sweep.dir"), ("hydra.mode=NOPE", "hydra.mode")),
    *(("-m seed=0,1 hydra.sweep.subdir=", "hydra.sweep.subdir"), ("-m seed=0,1 hydra.sweep.subdir=x", "hydra.sweep.subdir")),
    *(("-m seed=0,1 hydra.sweeper.max_batch_size=0", "hydra.sweeper.max_batch_size"), ("hydra=nope", "hydra")),
    *(("-m seed=0,1 hydra.sweeper.max_batch_size=-1", "hydra.sweeper.max_batch_size"), ("hydra.nope=1", "hydra.nope")),
    *(("-m seed=0,1 hydra.sweeper.max_batch_size=x", "hydra.sweeper.max_batch_size"), ("hydra/nope=x", "hydra/nope")),
    *(("hydra/launcher=nope", "hydra/launcher=nope"), ("hydra/sweeper=nope", "hydra/sweeper=nope")),
    *(("hydra/job_logging=nope", "hydra/job_logging=nope"), ("hydra.job.chdir=nope", "hydra.job.chdir=nope")),
    *(("+hydra.callbacks.x._target_=os.system", "os.system"), ("hydra.verbose=[", "hydra.verbose=[")),
    *(("-m seed=0,1 hydra.launcher._target_=os.system", "os.system"), ("-m seed=0,1 hydra.sweeper._target_=os.system", "os.system")),
    *(("--config-name x", "x"), ("--config-dir /nope", "/nope"), ("--config-path /nope", "/nope")),
    *(("--config-name=", "--config-name"), ("--cfg nope", "nope"), ("--nope", "--nope"), ("--info nope", "nope")),
    *(("-x", "-x"), ("--resolve", "--resolve"), ("seed=0 -m seed=1", "seed")),
)  # fmt: skip
WORDS = (  # that no key owns
    *("a", "=3", "=", "==", "peft.rank", "größe=3", "peft.ränk=3", "peft.größe=3", "+größe=3", "+x=1", "++peft.x=1"),
    *("~nope", "~peft", "~peft.rank", "~seed", "~peft=ssf", "~optim.lr=5", "+peft=lora", "+seed=1", "+peft.rank=8", "++peft=lora"),
    *("placement.depth=[0,1", "placement.depth=0,1]", "placement.cells={a:", 'dataset.path="a', "dataset.path='a", "peft.rank=("),
    *("peft.rank=8)", "peft.rank=$x", "peft.rank=${nope}", "peft.rank=${oc.env:NOPE_NOPE}", "peft.rank=${nope:1}", "peft.rank=${"),
    *("peft rank=8", " peft.rank= 8 8", "dataset.path=a b c", "backbone.checkpoint=a  b.pt", "baseline=a b"),
    *("peft..rank=8", ".rank=8", "peft.=8", "peft.rank.x=8", "seed.x=1", "peft/rank=8", "pefts=lora", "PEFT=lora"),
    *("peft@x=lora", "peft@=lora", "peft:x=lora", "peft.rank==8", "peft.rank=8=8", "peft.rank=8,16", "peft.rank=range(1,4)"),
    *("peft.rank=choice(4,8)", "peft.rank=interval(1,4)", "peft.rank=nope(1)", "peft.rank=int(x)", "peft.rank=glob(*)", "", " "),
    *("placement.depth=99", "placement.depth=-99", "placement.depth=5-2", "placement.depth=150%-200%", "placement.position=qq"),
    *("placement.depth=[0,99]", "placement.position=[q,qq]", "peft.positions=[qq]", "placement.budget=0", "placement.budget=x"),
    *("placement.budget=1e30", "placement.budget=-1", "placement.budget=3q", "dataset.crop_scale=[0.5]", "dataset.crop_scale=[2,3]"),
    *("dataset.groups.many_above=x", "dataset.groups.nope=1", "dataset.groups.head=x", "dataset.groups=[1]", "trust=[a.b]"),
    *("dataset.groups={nope: 1}", "backbone.model_args.nope=1", "dataset.groups.many_above=-1"),
    *("+peft.scale._target_=os.system", "+backbone.model_args.x._target_=os.system", "peft._target_=os.system", "dataset.mean=[1,2]"),
    *("dataset.std=[0,0,0]", "dataset.std=[1]", "trust=os", "recipes=3", "recipes=[1]", "device=cuda:99"),
    *("scaling=meta peft=bitfit", "scaling.rule=over_rank peft=ssf", "placement.budget=1k peft=ssf", "peft=linear_probe placement.depth=0"),
    *("fit.warmup_epochs=1 fit.epochs=1", "placement=supernet", "scaling=learned scaling.init=0", "scaling/estimator=direct"),
    *("scaling=meta scaling/estimator=nope", "placement=cells", "placement=cells placement.cells={0.qq:{}}", "placement=from_file"),
    *("placement=cells placement.cells={99.q:{}}", "placement=cells placement.cells={0.q:{rnk:1}}", "placement=random_k"),
    *("peft=hlpt peft.cuts.bottom=x", "peft=hlpt peft.cuts.bottom=200", "peft=hlpt peft.cuts.nope=1", "peft=mam peft.parts.nope=1"),
    *("peft=mam peft.parts={}", "peft=mam peft.parts=null", "peft=mam peft.parts.prefix=null", "peft=mam ~peft.parts.prefix.length"),
)  # fmt: skip


OF_VALUES = (
    *(
        "a list",
        "a mapping",
        "a part of a whole",
        "empty",
        "in a mapping",
        "missing file",
        "not a number",
        "null",
        "too large",
        "wrong sign",
    ),
    *("wrong type", "wrong word", "zero"),
)


class Line(NamedTuple):
    """`words` after `peftlab`. The answer names one of `keys` and, where it is not empty, `value`."""

    kind: str
    words: tuple[str, ...]
    keys: tuple[str, ...]
    value: str = ""


class Key(NamedTuple):
    """A key of a function of the config, with the words that choose the function, and what its annotation takes."""

    path: str
    words: tuple[str, ...]
    kinds: tuple[ast.expr, ...]
    module: str
    default: Any


def keys() -> Iterator[Key]:
    """The keys of every function that a file of configs/ names, each function once in each place, and those of no group."""
    root = yaml.safe_load((config_dir() / "config.yaml").read_text(encoding="utf-8"))
    yield from _of_function(ROOT, "", (), root)
    seen: set[tuple[str, str]] = set()
    for file in sorted(config_dir().rglob("*/*.yaml")):
        group = file.relative_to(config_dir()).parent
        if group.parts[0] == "hydra":  # launchers and sweepers
            continue
        is_global = "# @package _global_" in file.read_text(encoding="utf-8")
        node, prefix = _merged(file), "" if is_global else ".".join(group.parts)
        for path, target in targets_of(node, prefix):
            if target == "???" or (path, target) in seen or group.parts[0] in ("experiment", "recipe"):
                continue
            seen.add((path, target))
            above = NEEDED_BESIDE.get(f"{group.as_posix()}={file.stem}", ())
            above = ("scaling=meta",) if len(group.parts) > 1 else above
            own = path.removeprefix(prefix).strip(".").split(".")
            below = reduce(lambda inner, word: inner[word], filter(None, own), node)
            yield from _of_function(target, path, (*above, f"{group}={file.stem}"), below)


def _merged(file: Path) -> dict[str, Any]:
    """A choice with what it starts from: the files beside the groups, and others of its group."""
    node = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    found: dict[str, Any] = {}
    for entry in node.pop("defaults", []):
        base = re.fullmatch(r"(?:(/\w+)@_here_|(\w+))", entry) if isinstance(entry, str) else None
        if base and entry != "_self_":
            found = _over(
                found,
                _merged(
                    Path(f"{config_dir()}{base[1]}.yaml") if base[1] else file.with_name(f"{base[2]}.yaml")
                ),
            )
    return _over(found, node)


def _over(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}


def _of_function(target: str, path: str, words: tuple[str, ...], node: dict[str, Any]) -> Iterator[Key]:
    found = dict(signature(target).keys)
    if path == "placement":
        found |= signature(BUDGET).keys
    if (path == "peft" or path.startswith(PARTS)) and target != HYBRID:
        found |= {key: kind for key, kind in signature(PART).keys.items() if key in node}
    needed = {key: NEEDED[key] for key, value in node.items() if value == "???" and key in NEEDED}
    if path == "placement" and "keep" in found and "threshold" not in found:
        needed["keep"] = NEEDED["keep"]
    for key, (kind, module) in found.items():
        full = f"{path}.{key}" if path else key
        if not (isinstance(node.get(key), dict) and TARGET in node[key]):
            given = (f"{path}.{name}={value}" for name, value in needed.items() if name != key)
            yield Key(
                full,
                (*words, *given),
                tuple(one for one, _ in alternatives(kind, module)),
                module,
                node.get(key),
            )


def wrong_values(key: Key) -> Iterator[tuple[str, str]]:
    """(kind, value as it is typed) that the annotation does not take."""
    names = {ast.unparse(kind) for kind in key.kinds}
    heads = {ast.unparse(kind.value) for kind in key.kinds if isinstance(kind, ast.Subscript)}
    ranges = [range_of(kind) for kind in key.kinds if range_of(kind) is not None]
    takes_word, takes_list = "str" in names, bool(heads & {"list", "Sequence"})
    is_depth = key.path.endswith("depth") and takes_word
    if heads & {"Callable", "partial"}:
        return
    if "None" not in names and "Any" not in names:
        yield "null", "null"
    if "dict" not in names | heads:
        yield "a mapping", "{a: 1}"
    else:
        yield from (("wrong type", "3"), ("wrong type", "word"))
        if key.default:
            yield "{} for a mapping", "{}"
    if not takes_list:
        yield "a list", "[1, 2]"
    yield "empty", ""
    last: Any = None  # of the words or whole numbers to choose among
    if "Literal" in heads:
        legal = ast.literal_eval(
            next(kind for kind in key.kinds if ast.unparse(kind).startswith("Literal")).slice
        )
        last = legal if isinstance(legal, str | int) else legal[-1]
        yield "wrong word", last[:-1] + "q" if isinstance(last, str) else str(last + 1)
    elif not takes_word:
        yield "wrong type", "word"
    if not (ranges or is_depth or isinstance(last, int)):
        yield "wrong type", "3"
    for is_whole, (low, high, ends) in ranges:
        yield from (
            ("too large", "1e30"),
            ("too large", "1" + "0" * 30),
            ("not a number", "nan"),
            ("not a number", "inf"),
        )
        yield "not a number", "-inf"
        yield "wrong type", "true"
        if low >= 0:
            yield from (("wrong sign", "-1"), ("wrong sign", "-1e-30"))
        if low > 0 or (low == 0 and ends[0] == "("):
            yield "zero", "0"
        if is_whole:
            yield from (("a part of a whole", "1.5"), ("too large", str(high + 1)))
    if is_depth:
        yield from (
            ("too large", "1e30"),
            ("not a number", "nan"),
            ("wrong sign", "-1001"),
            ("wrong word", "al"),
        )


def _inside(key: Key) -> Iterator[Line]:
    """Of a mapping whose values are numbers: each replaced by what is none, or far too large."""
    for name, number in key.default.items() if isinstance(key.default, dict) else ():
        if isinstance(number, int | float) and TARGET not in key.default:
            for value in ("word", "nan", "-1", "1e30", "[1, 2]", "{a: 1}", ""):
                yield Line("in a mapping", (*key.words, f"{key.path}.{name}={value}"), (key.path,), value)


def _misspelt(key: Key) -> Iterator[Line]:
    """Of the key's own name: another last letter, in places with + or ++, which add what is not there."""
    parent, dot, name = key.path.rpartition(".")
    wrong = f"{parent}{dot}{name[:-1] or name + 'q'}q"
    sign = ("", "+", "++")[len(wrong) % 3]
    yield Line("misspelt key", (*key.words, f"{sign}{wrong}=3"), (wrong,), "3")


def _choices() -> Iterator[Line]:
    """Of every group: a choice misspelt, two, and what is none."""
    for folder in sorted(folder for folder in config_dir().rglob("*/") if folder.is_dir()):
        group = "/".join(folder.relative_to(config_dir()).parts)
        names = sorted(file.stem for file in folder.glob("*.yaml"))
        if not names or group.startswith("hydra"):  # launchers and sweepers
            continue
        first, last = names[0], names[-1]
        words = ("scaling=meta",) if "/" in group else ()
        misspelt = "".join(letter for letter in first if letter not in ".@")[:-1] + "q"
        yield Line("wrong choice", (*words, f"{group}={misspelt}"), (group, "backbone.name"), misspelt)
        for value in ("3", "{a: 1}", "", "[]", *(["null"] if group not in ("experiment", "recipe") else [])):
            yield Line("no choice", (*words, f"{group}={value}"), (group,), value)
        yield Line("two choices", (*words, f"{group}=[{first},{last}]"), (group,), first)
        yield Line("two choices", (*words, f"{group}={first},{last}"), (group,), first)


def lines(seed: int = 0) -> list[Line]:
    """All of them."""
    found = []
    for key in keys():
        for kind, value in dict.fromkeys(wrong_values(key)):
            found.append(Line(kind, (*key.words, f"{key.path}={value}"), (key.path,), value))
        found += [*_inside(key), *_misspelt(key)]
        if key.path in PATHS:
            for value in ("/nope/nope", "nope with spaces", "~nope/nope", "näpe"):
                words = (*key.words, f"{key.path}={value}")
                found.append(Line("missing file", words, (key.path,), value))
    found += _choices()
    for text, name in HYDRA:
        found.append(Line("Hydra word", tuple(text.split()), (name,)))
    for text in WORDS:
        words = tuple(text.split()) if re.fullmatch(r"\S+=\S+( \S+=\S+| scaling/\S+)", text) else (text,)
        named = [word.partition("=")[0].strip("+~ ") for word in words]
        found.append(Line("wrong word or rule", words, (*named, text.strip())))
    return found + _pairs(found, seed)


def _pairs(found: list[Line], seed: int) -> list[Line]:
    """Two wrong lines as one; either may be named."""
    draw, pairs = random.Random(f"{seed}/pairs"), []
    while len(pairs) < NUM_PAIRS:
        one, other = draw.sample(found, 2)
        if not {word.partition("=")[0] for word in one.words} & {
            word.partition("=")[0] for word in other.words
        }:
            pairs.append(Line("two at once", (*one.words, *other.words), (*one.keys, *other.keys)))
    return pairs


def command(line: Line, file: str = "FILE") -> list[str]:
    """The words after `peftlab`. A line that is taken for a legal one is a small run."""
    words = (*line.words, *SMALL) if line.words[0].startswith("-") else (*SMALL, *line.words)
    return [word.replace("FILE", file) for word in words]


def plain(text: str) -> str:
    """Without what is only spelling: spaces, quotes."""
    return re.sub(r"[\s'\"]", "", text)


def faults(line: Line, code: int, err: str) -> list[str]:
    """What is wrong with an answer; empty for a good one."""
    text = plain(err)
    spelt = {plain(line.value)}
    if re.fullmatch(r"[-+\d.e]+", line.value):
        spelt |= {str(float(line.value)), str(float(line.value)).replace("e", "e+").replace("++", "+")}
    said = err.partition("legal:")
    return [
        *([f"exit code {code}"] if code != 2 else []),
        *(["a traceback"] if "Traceback" in err else []),
        *([f"{err.strip().count(chr(10)) + 1} lines"] if err.strip().count("\n") else []),
        *(["nothing said"] if not err.strip() else []),
        *(["the key is not named"] if not any(plain(key) in text for key in line.keys) else []),
        *(["the value is not named"] if not any(value in text for value in spelt) else []),
        *(["no legal alternative"] if len(said[2].strip()) < 2 else []),
    ]


WRAPPER = """
import atexit, resource, sys
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(int("torch" in sys.modules), used.ru_utime + used.ru_stime, file=open(sys.argv_told, "w"))
sys.argv_told = sys.argv.pop(1)
atexit.register(tell)
from peftlab.command.train import main
sys.argv[0] = "peftlab"
main()
"""


def answer(line: Line) -> dict[str, Any]:
    """`peftlab WORDS` as a process of its own in an empty folder (beside it: a file, which stands for FILE)."""
    with tempfile.TemporaryDirectory(prefix="wrong-") as scratch:
        file, told, place = Path(scratch, "file"), Path(scratch, "told"), Path(scratch, "place")
        file.write_text("x")
        place.mkdir()
        words = command(line, str(file))
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        try:
            done = subprocess.run(
                [sys.executable, "-c", WRAPPER, str(told), *words],
                cwd=place,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
            )
            code, err = done.returncode, done.stderr
        except subprocess.TimeoutExpired as error:
            code, err = -9, str(error.stderr or "")
        torch, seconds = told.read_text().split() if told.is_file() else ("1", str(PATIENCE_S))
        wrong = faults(line, code, err)
        if any(place.iterdir()) or file.read_text() != "x":
            wrong.append("something was written")
        if torch == "1":
            wrong.append("torch was imported")
        if float(seconds) > LIMIT_S:
            wrong.append(f"{float(seconds):.1f} s")
    return {
        "kind": line.kind,
        "words": line.words,
        "wrong": wrong,
        "said": err[-2000:],
        "seconds": round(float(seconds), 2),
    }


def table(answers: list[dict[str, Any]]) -> list[list[Any]]:
    """By kind, and all: tried, answered, named what is legal, without torch, median and maximal seconds."""
    by_kind: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in answers:
        by_kind[one["kind"]].append(one)
    rows = []
    for kind, some in [*sorted(by_kind.items()), ("all", answers)]:
        has = [{*one["wrong"]} for one in some]
        seconds = [one["seconds"] for one in some]
        rows.append(
            [
                kind,
                len(some),
                sum(not one["wrong"] for one in some),
                sum("no legal alternative" not in wrong for wrong in has),
                sum("torch was imported" not in wrong for wrong in has),
                round(median(seconds), 2),
                max(seconds),
            ]
        )
    return rows


HEAD = ("kind", "tried", "answered", "said what is legal", "without torch", "median s", "most s")


def markdown(rows: list[list[Any]]) -> str:
    """The table for docs/reliability.md."""
    text = [[str(cell) for cell in row] for row in (HEAD, ["---", *["---:"] * 6], *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in text) + "\n"


def main() -> int:
    """0 if every line was answered as it should be, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="lines whose kind or words hold this")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs, and of what --limit draws")
    parser.add_argument("--limit", type=int, metavar="N", help="so many, drawn at random")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="only print the lines")
    parser.add_argument("--out", type=Path, help="the answers as JSON, and the table as Markdown beside it")
    given = parser.parse_args()
    chosen = [line for line in lines(given.seed) if given.only in f"{line.kind}: {' '.join(line.words)}"]
    if given.limit is not None and given.limit < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.limit)
    if given.list:
        print("\n".join(f"{line.kind}: {' '.join(line.words)}" for line in chosen))
        return 0
    answers = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for one in pool.map(answer, chosen):
            answers.append(one)
            if one["wrong"]:
                print(
                    f"peftlab {' '.join(one['words'])}\n  {'; '.join(one['wrong'])}\n  {one['said']}",
                    flush=True,
                )
    rows = table(answers)
    print(markdown(rows))
    if given.out is not None:
        wrong = [one for one in answers if one["wrong"]]
        given.out.write_text(json.dumps({"seed": given.seed, "table": rows, "wrong": wrong}, indent=1) + "\n")
        given.out.with_suffix(".md").write_text(markdown(rows))
    return int(any(one["wrong"] for one in answers))


if __name__ == "__main__":
    sys.exit(main())
