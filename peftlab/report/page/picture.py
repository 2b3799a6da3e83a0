"""Pictures as parts of one page: SVGs that take its colours, share its styles, and whose names are their own."""

import re
from collections import Counter

from peftlab.figure.colours import COLOURS, ON_DARK

# what a picture on white paper has, and what stands for it on a page that may be dark
INK = {
    "#000000": "currentColor",
    **dict.fromkeys(("#404040", "#4c4c4c", "#4d4d4d", "#595959"), "var(--soft)"),
    "#b0b0b0": "var(--line)",
    **dict.fromkeys(("#e5e5e5", "#e6e6e6"), "var(--row)"),  # cells without a number
    **{colour.lower(): f"var(--c{place})" for place, colour in enumerate(COLOURS[:-1])},
}
LIGHT, DARK = (
    "; ".join(f"--c{place}: {colour}" for place, colour in enumerate(colours))
    for colours in (COLOURS, ON_DARK)
)
PAPER = re.compile(r'style="fill: #ffffff"')  # of the figure and its axes
EDGES = re.compile(r"stroke: #ffffff")  # between the cells of a map, around points
STYLE = re.compile(r' style="([^"]*)"')
FILL = re.compile(r' style="fill: (#\w+); ')  # of one cell of a map alone: what is beside it is shared
BOX = re.compile(r'"M (\S+) (\S+) L (\S+) \2 L \3 (\S+) L \1 \4 (?:L \1 \2 )?z "')
NEEDLESS = (  # the default, or said once by the page
    r"; font-family: [^;\"]*|font-family: [^;\"]*; |stroke-(?:linejoin: miter|linecap: square|dashoffset: 0)(?:; )?",
    r' transform="rotate\(-?0(?:\.0)? [^"]*"',
    r' class="tip" pointer-events="all"',
    r"<defs>\s*</defs>",
    r"xlink:(?=href)",
)


def inline(svgs: dict[str, tuple[str, str]]) -> tuple[dict[str, str], str]:
    """Name -> `<svg>` element, and the style sheet that they need, of name -> (file of `figure.picture`, what it shows)."""
    shown = {
        name: _element(svg, f"p{place}", title) for place, (name, (svg, title)) in enumerate(svgs.items())
    }
    shown = {name: FILL.sub(r' fill="\1" style="', svg) for name, svg in shown.items()}
    count = Counter(style for svg in shown.values() for style in STYLE.findall(svg))
    classes = {style: f"s{place}" for place, (style, number) in enumerate(count.most_common()) if number > 2}
    sheet = "\n".join(f".{name} {{ {style} }}" for style, name in classes.items())

    def named(found: re.Match[str]) -> str:
        return f' class="{classes[found.group(1)]}"' if found.group(1) in classes else found.group()

    return {name: STYLE.sub(named, svg) for name, svg in shown.items()}, sheet


def _element(svg: str, prefix: str, title: str) -> str:
    body = svg[svg.index("<svg ") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    size = box.group(1) if box else "0 0 0 0"
    rest = PAPER.sub('style="fill: none"', EDGES.sub("stroke: var(--page)", rest))
    rest = re.sub("|".join(INK), lambda found: INK[found.group()], rest)
    return (
        f'<svg role="img" aria-label="{_escaped(title)}" viewBox="{size}" width="{1.25 * float(size.split()[2]):.0f}"'
        f">{_without_groups(_brief(_names(_once(rest), prefix)))}"
    )


def _brief(body: str) -> str:
    """The same picture in fewer letters: a tenth of a point is enough for a place, and what is said keeps its digits."""
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d)\d+", r"\1", tag.group()), body)
    for what in NEEDLESS:
        body = re.sub(what, "", body)
    body = re.sub(r"> <", "><", re.sub(r"\s*\n\s*", " ", body))
    return BOX.sub(r'"M\1 \2H\3V\4H\1z"', body)


def _names(body: str, prefix: str) -> str:
    """Only what is referred to keeps an id: a short one, which no other picture has."""
    used = dict.fromkeys(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", body))
    short = {name: f"{prefix}-{place}" for place, name in enumerate(used)}
    body = re.sub(
        r' id="([^"]*)"',
        lambda found: f' id="{short[found.group(1)]}"' if found.group(1) in short else "",
        body,
    )
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found.group(1) + short[found.group(2)], body)


def _once(body: str) -> str:
    """The same with each shape, as that of a point, defined once: its colours stand where it is used."""
    first = dict[str, str]()
    for name, shape in re.findall(r'<path id="([^"]*)" d="([^"]*)"', body):
        first.setdefault(shape, name)
    same = {name: first[shape] for name, shape in re.findall(r'<path id="([^"]*)" d="([^"]*)"', body)}

    def kept(found: re.Match[str]) -> str:
        name, shape = found.groups()
        return f'<path id="{name}" d="{shape}"/>' if same[name] == name else ""

    body = re.sub(r'<path id="([^"]*)" d="([^"]*)"[^>]*/>', kept, body)
    return re.sub(
        r'href="#([^"]*)"', lambda found: f'href="#{same.get(found.group(1), found.group(1))}"', body
    )


def _without_groups(body: str) -> str:
    """The same without groups that say nothing: no title, no attribute."""
    parts, kept = list[str](), list[bool]()
    for part in re.split(r"(<g><title>|<g\b[^>]*>|</g>)", re.sub(r"<g\b[^>]*/>", "", body)):
        if part == "</g>":
            parts += [part] * kept.pop()
            continue
        if part.startswith("<g"):
            kept.append(part != "<g>")
        parts += [part] * (part != "<g>")
    return "".join(parts)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
