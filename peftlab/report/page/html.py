"""index.html: one page that needs no network and no other file, made from page.html.j2."""

import re
from math import isfinite
from pathlib import Path
from typing import Any

from peftlab.report.page.parts import Entry, Section

SIGN = '<meta name="generator" content="peftlab-report">'
TEMPLATE = Path(__file__).with_name("page.html.j2")


def page(title: str, sections: list[Section], pictures: dict[str, str], formats: tuple[str, ...]) -> str:
    """The page. pictures: name -> `<svg>` of each drawing. formats: in which each picture lies in the folder `figures`."""
    from jinja2 import Environment  # a third of a second is for who asks for a page
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"strong": _strong, "sorts": _sorts}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    shown = {name: Markup(svg) for name, svg in pictures.items()}
    return template.render(sign=Markup(SIGN), title=title, sections=sections, pictures=shown, formats=formats)


def _strong(text: str) -> Any:
    """`**words**` as strong, everything else as it is."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text))))


def _sorts(entry: Entry) -> str:
    """What an entry sorts by, if it is not its text."""
    return f"{entry.value:.9g}" if isfinite(entry.value) else ""
