"""index.html: one page that needs no network and no other file, made from page.html.j2."""

import re
from math import isfinite
from pathlib import Path
from typing import Any

from peftlab.report.page.parts import Entry, Section
from peftlab.report.page.picture import DARK, LIGHT, inline

SIGN = '<meta name="generator" content="peftlab-report">'
TEMPLATE = Path(__file__).with_name("page.html.j2")


def page(
    title: str, sections: list[Section], pictures: dict[str, tuple[str, str]], formats: tuple[str, ...]
) -> str:
    """The page. pictures: name -> SVG file and title of each drawing. formats: in which each lies in the folder `figures`."""
    from jinja2 import Environment  # a third of a second is for who asks for a page
    from markupsafe import Markup

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"marked": _marked, "sorts": _sorts, "slug": _slug}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    found, styles = inline(pictures)
    shown = {name: Markup(svg) for name, svg in found.items()}
    given = {
        "sign": Markup(SIGN),
        "title": title,
        "formats": formats,
        "styles": Markup(styles),
        "light": LIGHT,
        "dark": DARK,
    }
    return template.render(sections=sections, pictures=shown, **given)


def _marked(text: str) -> Any:
    """`**words**` as strong, words in backticks as code, everything else as it is."""
    from markupsafe import Markup, escape

    strong = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", strong))


def _slug(name: str) -> str:
    """A name as an id that a style sheet can name."""
    return re.sub(r"[^\w-]", "-", name)


def _sorts(entry: Entry) -> str:
    """What an entry sorts by, where a browser could not read it from the text."""
    plain = entry.text.replace(",", "")
    if not isfinite(entry.value) or re.fullmatch(r"[-+]?\d+(\.\d+)?", plain):
        return ""
    return f"{entry.value:.6g}"
