"""What classes are called in texts, and each sentence for a wrong file of words."""

from pathlib import Path

import pytest

from peftlab.dataset.words import read_words, words_in, words_of
from peftlab.errors import MissingData, UserError

CLASSES = ["n01440764", "n01443537", "sea lion"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("apple", "apple"),
        ("aquarium_fish", "aquarium fish"),
        ("Handstand_Pushups", "handstand pushups"),
        ("BareLand", "bare land"),
        ("SARShip", "SAR ship"),
        ("black-footed_albatross", "black footed albatross"),
        ("001.Black_footed_Albatross", "black footed albatross"),
        ("n01443537 goldfish", "goldfish"),
        ("n01629819 European fire salamander", "European fire salamander"),  # words as they stand
        ("German shepherd_dog", "German shepherd dog"),
        ("n01443537", "n01443537"),  # a code alone, which no rule can read
        ("BTR60", "BTR60"),
        ("ZSU_23_4", "ZSU 23 4"),
        ("2S1", "2S1"),
        ("digit_1", "digit 1"),
        ("_", "_"),  # no class is called nothing
    ],
)
def test_a_name_as_words(name: str, words: str) -> None:
    assert words_of(name) == words


def written(folder: Path, text: str) -> Path:
    (folder / "names.txt").write_text(text, encoding="utf-8")
    return folder / "names.txt"


def test_a_line_for_each_class_in_any_order(tmp_path: Path) -> None:
    """CoOp's file of ImageNet has a space, and a name with a space needs a tab."""
    file = written(tmp_path, "sea lion\ta Sea-Lion\r\nn01443537 gold fish\r\nn01440764 tench\r\n\r\n")
    assert read_words(str(file), CLASSES, "key") == ["tench", "gold fish", "a Sea-Lion"]
    acting = written(tmp_path, "\ufeffa x\x1b[2J\n")
    assert read_words(str(acting), ["a"], "key") == ["x\\x1b[2J"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n01440764 tench\nsea lion\tx\n", " has no words for class n01443537; legal: a line NAME words for each class"),
        ("n1 x\n", " has no words for classes n01440764, n01443537, sea lion; legal"),
        ("n01440764 a\nn01443537 b\nsea lion\tc\nn2 d\n", " has words for class n2, which the data do not have; legal: their"),
        ("n01440764 a\n\nn01443537 b\n", ": line 2 has nothing and no words; legal: NAME, a tab or a space, and words"),
        ("n01440764\n", ": line 1 has n01440764 and no words"),
        ("n01440764\t\n", ": line 1 has n01440764 and no words"),
        ("", ": line 1 has nothing and no words"),
        ("n01440764 a\nn01440764 b\n", ": line 2 names the class n01440764 again; legal: once"),
    ],
)  # fmt: skip
def test_a_wrong_file(text: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^key{message}"):
        words_in(text, CLASSES, "key")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"^key: there is no such file; legal"):
        read_words(str(tmp_path / "no.txt"), CLASSES, "key")
    (tmp_path / "names.txt").write_bytes(b"a \xff\n")
    for file in (tmp_path, tmp_path / "names.txt"):
        with pytest.raises(UserError, match=r"^key cannot be read \(.*\); legal: a text file in UTF-8$"):
            read_words(str(file), CLASSES, "key")
