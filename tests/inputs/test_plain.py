"""Words of strangers: what would act is shown by its number."""

import pytest

from peftlab.inputs.plain import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"), ("Katze ä 猫 🐈", "Katze ä 猫 🐈"), ("[red]x[/red]", "[red]x[/red]"), ("a|b $x$ =cmd()", "a|b $x$ =cmd()"),
        ("\x1b[31mred", r"\x1b[31mred"), ("a\nb\tc\r", r"a\x0ab\x09c\x0d"), ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u202egnp.exe", r"\u202egnp.exe"), ("\u2066a\u200b", r"\u2066a\u200b"), ("\u2028", r"\u2028"),
        (b"caf\xe9".decode(errors="surrogateescape"), r"caf\xe9"), ("\ud800", r"\ud800"), ("\U000e0001", r"\U000e0001"),
    ],
)  # fmt: skip
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown
    plain(text).encode()  # any file can hold it
    assert plain(plain(text)) == plain(text)
