"""Tables in the formats of documents: read back by what will read them."""

import csv as reader
from math import nan

from peftlab.report.page.parts import Column, Entry, Table, number, words
from peftlab.report.page.tables import csv, latex, markdown

TABLE = Table(
    "t",
    "A table",
    [Column("name", is_number=False), Column("tail", "%"), Column("p"), Column("n")],
    [
        [words("a_b|c"), Entry("66.0 ±3.1", 66.04, 62.94, 69.14), Entry("<0.0001", 2.5e-9), number(3)],
        [words("=1+1"), Entry("diverged"), Entry(""), number(nan)],
    ],
    "± is an interval",
)


def test_csv_has_all_digits_and_the_ends_of_intervals() -> None:
    rows = list(reader.reader(csv(TABLE).splitlines()))
    assert rows == [
        ["name", "tail (%)", "tail (%) low", "tail (%) high", "p", "n"],
        ["a_b|c", "66.04", "62.94", "69.14", "2.5e-09", "3"],
        ["'=1+1", "diverged", "", "", "", ""],
    ]


def test_latex_is_escaped_and_has_the_rules_of_booktabs() -> None:
    text = latex(TABLE)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lrrr}"):
        assert text.count(rule) == 1
    assert r"a\_b\textbar{}c & 66.0 $\pm$3.1 & \textless{}0.0001 & 3 \\" in text
    assert r"tail (\%)" in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert [line.count("&") for line in body] == [3, 3]


def test_latex_of_every_special_sign_is_inert() -> None:
    text = latex(
        Table("t", "x", [Column("c", is_number=False)], [[words(r"\input{/etc/passwd} $x$ ~ ^ # & % {}")]])
    )
    line = text.splitlines()[5]
    assert line == (
        r"\textbackslash{}input\{/etc/passwd\} \$x\$ \textasciitilde{} \textasciicircum{} \# \& \% \{\} \\"
    )


def test_markdown_shows_words_as_they_are() -> None:
    lines = markdown(TABLE).splitlines()
    assert lines[:3] == [
        "| name | tail (%) | p | n |",
        "|---|--:|--:|--:|",
        r"| a_b\|c | 66.0 ±3.1 | <0.0001 | 3 |",
    ]
    assert lines[-1] == "± is an interval"
    assert "&lt;b>" in markdown(Table("t", "x", TABLE.columns[:1], [[words("<b>")]])).replace("&gt;", ">")
