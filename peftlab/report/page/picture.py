"""A picture as a part of the page: an SVG that takes the colours of the page, and whose names are its own."""

import re

# what a picture on white paper has, and what stands for it on a page that may be dark
INK = {
    "#000000": "currentColor",
    "#4d4d4d": "var(--soft)",
    "#595959": "var(--soft)",
    "#b0b0b0": "var(--line)",
}
PAPER = re.compile(r'style="fill: #ffffff"')  # of the figure and its axes
EDGES = re.compile(r"stroke: #ffffff")  # between the cells of a map, around points


def inline(svg: str, name: str, title: str) -> str:
    """The `<svg>` element of a file that `figure.picture` wrote, for a page with others. title: what it shows.

    Names begin with `name`, since they hold for the whole page.
    """
    body = svg[svg.index("<svg ") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    width = float(box.group(1).split()[2]) if box else 0.0
    rest = PAPER.sub('style="fill: none"', EDGES.sub("stroke: var(--page)", rest))
    rest = re.sub("|".join(INK), lambda found: INK[found.group()], rest)
    rest = _names(_brief(rest), name)
    return (
        f'<svg role="img" aria-label="{_escaped(title)}" viewBox="{box.group(1) if box else ""}"'
        f' style="max-width: {1.25 * width:.0f}px" xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
    )


def _brief(body: str) -> str:
    """The same picture in fewer letters: a tenth of a point is enough, and groups of one part go."""
    body = re.sub(r"(\d+\.\d)\d+", r"\1", body)
    body = re.sub(
        r"; font-family: [^;\"]*|font-family: [^;\"]*; |stroke-(?:linejoin: miter|linecap: square|dashoffset: 0)(?:; )?",
        "",
        body,
    )
    body = re.sub(r' transform="rotate\(-?0(?:\.0)? [^"]*"', "", body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r"\s*\n\s*", " ", body)
    return re.sub(r"> <", "><", body)


def _names(body: str, name: str) -> str:
    """Only what is referred to keeps its id."""
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", body))
    body = re.sub(
        r' id="([^"]*)"', lambda id_: f' id="{name}-{id_.group(1)}"' if id_.group(1) in used else "", body
    )
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    for _ in range(2):
        body = re.sub(r"<g>(<(?:path|use|text|image|rect)\b(?:(?!</?g\b).)*?)</g>", r"\1", body)
    return body


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
