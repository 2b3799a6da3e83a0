"""A template is cut where its answer begins; the spaces before it belong to the answer."""

import pytest

from peftlab.dataset.text.form import Form


@pytest.mark.parametrize(
    ("template", "prompt", "answer"),
    [
        ("Question: {question}\nAnswer: {answer}", "Question: why {x}?\nAnswer:", " so"),
        ("{question}\n{answer}", "why {x}?\n", "so"),
        ("{question}  {answer}", "why {x}?", "  so"),
    ],
)
def test_both_parts(template: str, prompt: str, answer: str) -> None:
    form = Form(template, None)
    assert (form.prompt("why {x}?"), form.answer("so")) == (prompt, answer)
