"""What classes are called in texts: words made of their names, or those of a file."""

import re
from collections.abc import Sequence

from peftlab.errors import MissingData, UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain

# before the words: an identifier of WordNet, as in "n01443537 goldfish", or a number, as in "001.Black_footed_Albatross"
CODE = re.compile(r"n[0-9]{8} +(?=\S)|[0-9]{3}\.(?=[A-Za-z])")
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
CAPITALISED = re.compile(r"\b[A-Z](?=[a-z]+\b)")


def words_of(name: str) -> str:
    """`aquarium_fish` -> "aquarium fish", `BareLand` -> "bare land", `n01443537 goldfish` -> "goldfish", `BTR60` as it is.

    Underscores are spaces, as in CoOp. A name without a space is taken apart further: at hyphens and before capitals that begin a
    word, which becomes small. Codes of capitals and digits stay.

    Differs: CoOp leaves capitals and hyphens to the tokenizer, and CLIP's makes all letters small.
    """
    bare = (name[code.end() :] if (code := CODE.match(name)) else name).strip()
    if " " in bare:
        return " ".join(bare.replace("_", " ").split())
    apart = CAMEL.sub(" ", re.sub(r"[-_]", " ", bare))
    return " ".join(CAPITALISED.sub(lambda found: found[0].lower(), apart).split()) or name


def read_words(file: str, class_names: Sequence[str], option: str) -> list[str]:
    """The words of a file as `words_in` reads them; `option` is how an error begins.

    Raises:
        UserError: for a file that is missing or cannot be read, and as `words_in`.
    """
    try:
        text = expanded(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingData(f"{option}: there is no such file; legal: a text file that exists") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option} cannot be read ({error}); legal: a text file in UTF-8") from error
    return words_in(text, class_names, option)


def words_in(text: str, class_names: Sequence[str], option: str) -> list[str]:
    """The words of each class, in the order of `class_names`, from lines `NAME words` in any order, one for each class.

    The name ends at the first tab of the line, or, in a line without one, at its first space: the `classnames.txt` that CoOp
    publishes for ImageNet ("n01440764 tench"). `option` is how an error begins.

    Raises:
        UserError: for a line without words, a class that has none, and one that is not of the data.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.rstrip().split("\n"), 1):
        name, _, words = (
            part.strip() for part in line.strip().partition("\t" if "\t" in line.strip() else " ")
        )
        if not words:
            raise UserError(
                f"{option}: line {number} has {plain(name) or 'nothing'} and no words; legal: NAME, a tab or a space, and words"
            )
        if name in found:
            raise UserError(f"{option}: line {number} names the class {plain(name)} again; legal: once")
        found[name] = plain(words)
    names = dict.fromkeys(class_names)
    if missing := [name for name in names if name not in found]:
        raise UserError(
            f"{option} has no words for {_some(missing)}; legal: a line NAME words for each class"
        )
    if more := [name for name in found if name not in names]:
        raise UserError(
            f"{option} has words for {_some(more)}, which the data do not have; legal: their classes alone"
        )
    return [found[name] for name in names]


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{'class' if len(names) == 1 else 'classes'} {', '.join(map(plain, names[:3]))}{rest}"
