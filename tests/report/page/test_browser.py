"""The page as a person has it: in a real Chromium, with mouse, keyboard, dark, small, on paper, and without script."""

import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fixtures.browser import Browser, started
from fixtures.grid import CROSSED, made
from fixtures.page import CLAIM, SECTIONS, full
from fixtures.study import put_run

from peftlab.report.page.parts import Column, Entry, Section, Table, number, words
from peftlab.report.page.report import Request, write_page
from peftlab.report.page.serve import HOST, Handler, Live
from peftlab.report.page.write import write

pytestmark = pytest.mark.slow
ROWS = [
    [words("b"), Entry("9.0 ±1.0", 9.04, 8.0, 10.0), number(1200)],
    [words("a"), Entry("10.0 ±1.0", 10.01, 9.0, 11.0), number(30)],
    [words("c"), Entry("diverged"), number(float("nan"))],
    [words("a10"), Entry("-3.0", -3.0), number(4)],
    [words("a9"), Entry("<0.0001", 2e-9), number(5)],
    *([words(f"x{place}"), Entry("0.5", 0.5), number(6 + place)] for place in range(4)),
]
COLUMNS = [Column("name", is_number=False), Column("tail", "%"), Column("images")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from started(tmp_path_factory.mktemp("profile"))


@pytest.fixture(autouse=True)
def _as_new(browser: Browser) -> None:
    browser.size(1200)
    browser.media("light")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    browser.js("try { localStorage.clear(); } catch { /* the empty page has none */ }")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section."""
    folder = full(tmp_path_factory.mktemp("page") / "sweep")
    return write_page(Request([folder], folder / "report", claims=(CLAIM,)), ("svg",)).page


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made(tmp_path_factory.mktemp("page") / "grid", CROSSED, 3)
    return write_page(Request([folder], folder / "report"), ("svg",)).page


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one table of known words."""
    table = Table("cells", "Known", COLUMNS, ROWS, "a note")
    sections = [Section("cells", "Cells", ["**bold** `key=value` <b>"], [table])]
    return write(tmp_path_factory.mktemp("page"), "known", sections, ("svg",))[-1]


def column(browser: Browser, place: int = 1) -> list[str]:
    """The words of a column, in the order of the rows that can be seen."""
    return [cell.text for cell in browser.find(f"tbody td:nth-child({place})") if cell.is_displayed()]


def heads(browser: Browser) -> list[Any]:
    return browser.find("th button")


def test_a_page_says_no_error_and_asks_nothing_of_anyone(browser: Browser, every: Path, grid: Path) -> None:
    for page in (every, grid):
        browser.open(page)
        for head in browser.find("th button")[:3]:
            browser.js("arguments[0].click()", head)
        assert browser.said() == []
        assert browser.asked() == [page.resolve().as_uri()]
        assert browser.js("return performance.getEntriesByType('resource').map((one) => one.name)") == []


def test_every_section_is_there_and_every_link_leads_somewhere(browser: Browser, every: Path) -> None:
    browser.open(every)
    assert tuple(one.get_attribute("id") for one in browser.find("main > section")) == SECTIONS
    links = browser.js("return [...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
    assert len(links) > 100
    for link in links:
        if link.startswith("#"):
            assert browser.find(link), link
        else:
            assert (every.parent / link).exists(), link
    ids = browser.js("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids)), "no two things have one name"


def test_numbers_are_sorted_by_value_and_words_as_people_do(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    name, tail, images = heads(browser)
    tail.click()
    assert column(browser, 2)[:3] == ["10.0 ±1.0", "9.0 ±1.0", "0.5"]
    assert column(browser, 2)[-3:] == ["<0.0001", "-3.0", "diverged"]
    states = [head.get_attribute("aria-sort") for head in browser.find("th")]
    assert states == [None, "descending", None]
    tail.click()
    assert column(browser, 2)[:2] == ["-3.0", "<0.0001"]
    assert column(browser, 2)[-2:] == ["10.0 ±1.0", "diverged"], "what has no number stays last"
    images.click()
    assert column(browser, 3)[:2] == ["1,200", "30"]
    assert column(browser, 3)[-1] == ""
    name.click()
    assert column(browser)[:5] == ["a", "a9", "a10", "b", "c"]
    states = [head.get_attribute("aria-sort") for head in browser.find("th")]
    assert states == ["ascending", None, None]
    name.click()
    assert column(browser)[-3:] == ["a10", "a9", "a"]


def test_a_filter_hides_rows_and_says_how_many_are_left(browser: Browser, plain: Path, every: Path) -> None:
    browser.open(plain)
    (field,) = browser.find("input[type=search]")
    assert field.accessible_name == "rows with"
    field.send_keys("A")
    assert column(browser) == ["a", "a10", "a9"]
    assert browser.find("[role=status]")[0].text == "3 of 9"
    field.send_keys(" -3")
    assert column(browser) == ["a10"], "every word must be in the row"
    field.clear()
    field.send_keys("nothing at all")
    assert column(browser) == []
    browser.open(every)
    fields = browser.find("input[type=search]")
    assert len(fields) == len(
        [one for one in browser.find("table") if len(one.find_elements("css selector", "tbody tr")) > 8]
    )
    for field in fields:
        (table,) = browser.find(f"table[id='{field.get_attribute('data-table')}']")
        field.send_keys("no such word")
        assert not [row for row in table.find_elements("css selector", "tbody tr") if row.is_displayed()]


def test_the_keyboard_reaches_everything(browser: Browser, plain: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(plain)
    reached, lines = [], []
    for _ in range(12):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        now = browser.driver.switch_to.active_element
        reached.append(now.get_attribute("role") or now.text or now.accessible_name)
        lines.append(now.value_of_css_property("outline-style"))
    for what in ("Cells", "dark or light", "rows with", "region", "name", "tail (%)", "images", "CSV"):
        assert what in reached, what
    assert "none" not in lines[: reached.index("images")], "who tabs sees where"
    browser.open(plain)
    for _ in range(reached.index("tail (%)") + 1):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert browser.find("th")[1].get_attribute("aria-sort") == "descending"
    ActionChains(browser.driver).send_keys(Keys.SPACE).perform()
    assert browser.find("th")[1].get_attribute("aria-sort") == "ascending"
    assert browser.driver.switch_to.active_element.text.startswith("tail"), "the focus stays where it was"


def test_what_is_under_the_pointer_says_its_value(browser: Browser, grid: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(grid)
    tip = browser.find("#tip")[0]
    assert not tip.is_displayed()
    row = next(row for row in browser.find("#cells tbody tr") if row.text.startswith("9-11 mlp1"))
    value = re.findall(r"\d+\.\d", row.text)[0]
    parts = browser.find("figure .tip")
    (cell,) = [
        part for part in parts if part.get_attribute("data-tip").startswith(f"mlp1 in 9-11: mean {value}")
    ]
    browser.js("arguments[0].scrollIntoView({block: 'center'})", cell)
    ActionChains(browser.driver).move_to_element(cell).perform()
    assert tip.is_displayed()
    assert tip.text == cell.get_attribute("data-tip")
    box, mouse = tip.rect, cell.rect
    assert abs(box["x"] - mouse["x"]) < 400
    assert abs(box["y"] - mouse["y"]) < 200
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()
    ActionChains(browser.driver).move_to_element(cell).move_to_element(browser.find("h1")[0]).perform()
    assert not tip.is_displayed()


def test_dark_is_what_the_machine_prefers_or_what_was_clicked_and_is_remembered(
    browser: Browser, grid: Path
) -> None:
    browser.open(grid)
    assert luminance(browser, "body", "background-color") > 0.9
    browser.media("dark")
    assert luminance(browser, "body", "background-color") < 0.05
    browser.find("#theme")[0].click()
    assert luminance(browser, "body", "background-color") > 0.9
    browser.open(grid)
    assert luminance(browser, "body", "background-color") > 0.9, "remembered"
    browser.find("#theme")[0].click()
    browser.media("light")
    browser.open(grid)
    assert luminance(browser, "body", "background-color") < 0.05


def test_numbers_stand_under_their_heads(browser: Browser, every: Path) -> None:
    browser.open(every)
    code = """return [...document.querySelectorAll('td')].filter((cell) => {
      const head = cell.closest('table').tHead.rows[0].cells[cell.cellIndex];
      return getComputedStyle(cell).textAlign !== (head.classList.contains('number') ? 'right' : 'left');
    }).map((cell) => cell.closest('table').id + ' ' + cell.textContent)"""
    assert browser.js(code) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(browser: Browser, every: Path, scheme: str) -> None:
    """WCAG's contrast of 4.5 for every text that is shown, those of pictures on the page's own ground among them."""
    browser.media(scheme)
    browser.open(every)
    ground = luminance(browser, "body", "background-color")
    for selector in ("p", "li", "h2", "td", "th button", "a", "caption", "figcaption", ".note", "nav button"):
        assert contrast(luminance(browser, selector, "color"), ground) >= 4.5, selector
    row = browser.find("tbody tr")[0]
    from selenium.webdriver import ActionChains

    ActionChains(browser.driver).move_to_element(row).perform()
    assert (
        contrast(
            luminance(browser, "td a", "color"), luminance(browser, "tbody tr:hover", "background-color")
        )
        >= 4.5
    )
    assert (
        contrast(luminance(browser, "#tip", "color"), luminance(browser, "#tip", "background-color")) >= 4.5
    )
    fills = browser.js(
        "return [...new Set([...document.querySelectorAll('svg text')].map((one) => getComputedStyle(one).fill))]"
    )
    on_page = [fill for fill in fills if fill not in ("rgb(255, 255, 255)", "rgb(1, 1, 1)")]
    assert on_page
    for fill in on_page:
        assert contrast(_luminance(fill), ground) >= 4.5, fill


def luminance(browser: Browser, selector: str, what: str) -> float:
    code = "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])"
    return _luminance(browser.js(code, selector, what))


def _luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, after WCAG 2.1."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


def test_a_phone_scrolls_tables_and_not_the_page(browser: Browser, every: Path) -> None:
    browser.size(390)
    browser.open(every)
    assert browser.js("const e = document.documentElement; return e.scrollWidth <= e.clientWidth")
    wide = "return [...document.querySelectorAll('.wide')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    assert browser.js(wide) > 5
    scrolled = (
        "const e = [...document.querySelectorAll('.wide')].find((e) => e.scrollWidth > e.clientWidth + 50);"
    )
    assert browser.js(scrolled + "e.scrollLeft = 40; return e.scrollLeft") == 40


def test_pictures_have_names(browser: Browser, every: Path) -> None:
    browser.open(every)
    pictures = browser.find("main svg")
    assert len(pictures) == len(browser.find("figure")) > 10
    names = [picture.accessible_name for picture in pictures]
    assert all(len(name) > 10 for name in names)
    assert len(set(names)) == len(names)
    assert {picture.aria_role for picture in pictures} <= {"image", "img"}


def test_without_script_everything_can_be_read(browser: Browser, every: Path) -> None:
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(every)
    text = browser.cdp("DOMSnapshot.captureSnapshot", computedStyles=["display"])
    (document,) = text["documents"]
    strings, nodes = text["strings"], document["nodes"]["nodeName"]
    shown = {document["layout"]["nodeIndex"][place] for place in range(len(document["layout"]["nodeIndex"]))}
    tables = [node for node, name in enumerate(nodes) if strings[name] == "TABLE"]
    assert len(tables) > 10
    assert set(tables) <= shown
    cells = [node for node, name in enumerate(nodes) if strings[name] == "TD"]
    assert set(cells) <= shown
    buttons = [node for node, name in enumerate(nodes) if strings[name] in ("BUTTON", "INPUT")]
    assert not set(buttons) & shown, "what needs the script is not there without it"


def test_on_paper_it_is_dark_on_white_and_nothing_is_cut(browser: Browser, every: Path) -> None:
    browser.open(every)
    browser.find("#theme")[0].click()
    assert luminance(browser, "body", "background-color") < 0.05
    browser.media("light", "print")
    browser.size(700)  # A4 with margins, about
    assert luminance(browser, "body", "color") < 0.05
    assert luminance(browser, "body", "background-color") > 0.9
    assert not browser.find("nav")[0].is_displayed()
    assert not browser.find("input[type=search]")[0].is_displayed()
    cut = "return [...document.querySelectorAll('.wide')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.ariaLabel)"
    assert browser.js(cut) == []
    assert browser.driver.print_page()


def test_pictures_of_it_for_who_looks(browser: Browser, every: Path, tmp_path: Path) -> None:
    """In light, dark and grey, and at phone width, things are where they should be: no picture is empty."""
    from PIL import Image

    browser.open(every)
    light = browser.picture(tmp_path / "light.png")
    browser.media("dark")
    dark = browser.picture(tmp_path / "dark.png")
    browser.size(390)
    phone = browser.picture(tmp_path / "phone.png")
    mean = {}
    for path in (light, dark, phone):
        grey = Image.open(path).convert("L")
        grey.save(path.with_suffix(".grey.png"))
        histogram = grey.histogram()
        mean[path] = sum(place * number for place, number in enumerate(histogram)) / sum(histogram)
        assert sum(number > 0 for number in histogram) > 200
    assert mean[light] > 200
    assert mean[dark] < 90


def test_a_served_page_says_no_error_and_comes_back_when_a_run_ends(browser: Browser, tmp_path: Path) -> None:
    put_run(tmp_path / "sweep", {"peft": "lora"}, 0, {"mean_acc": 0.5})
    live = Live(Request([tmp_path / "sweep"], tmp_path / "sweep" / "report"))
    live.renew()
    with ThreadingHTTPServer((HOST, 0), partial(Handler, live=live, directory=str(live.root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://{HOST}:{server.server_port}/"
        browser.open(address)
        assert browser.driver.current_url == f"{address}report/index.html"
        assert len(browser.find("#runs tbody tr")) == 1
        put_run(tmp_path / "sweep", {"peft": "lora"}, 1, {"mean_acc": 0.6})
        live.renew()
        for _ in range(100):
            if len(browser.find("#runs tbody tr")) == 2:
                break
            time.sleep(0.1)
        assert len(browser.find("#runs tbody tr")) == 2
        assert browser.said() == []
        assert {url.removeprefix(address) for url in browser.asked()} <= {"", "stamp", "report/index.html"}
        browser.driver.get("about:blank")
        server.shutdown()
