"""The page of `report` in a browser: Debian's Chromium, without a window."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.running import run
from tests.rdb import craft

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cold,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no chromium, which pip has not"
    ),
]
ROOT = Path(__file__).resolve().parents[2]
WHOLE = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"
HOSTILE = "</script><img src=x onerror=\"document.title='run'\">"
SECTIONS = ("file", "prefixes", "keys", "types", "sizes", "elements", "expiry", "slots")
CONTRAST = 4.5
"""What WCAG 2 asks of text, level AA."""
FAINT_TEXTS = (Path(__file__).parent / "faint_texts.js").read_text()
"""Gives the texts that have less contrast than the argument, and how many were looked at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1300,1000"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which root cannot have
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("whole") / "page.html"
    assert run("report", WHOLE, "-o", page).returncode == 0
    return page


def show(browser: Chrome, page: Path, scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(page.as_uri())


def ask(browser: Chrome, script: str, *arguments: object) -> Any:
    return browser.execute_script(f"return {script}", *arguments)


def boxes(browser: Chrome) -> dict[str, Any]:
    """The boxes that are drawn, by the first line of what is written on them."""
    found = browser.find_elements("css selector", "#map g.slice")
    script = "arguments[0].map(box => (box.querySelector('tspan') || box.querySelector('text')).textContent)"
    return dict(zip(ask(browser, script, found), found, strict=True))


def click(browser: Chrome, label: str) -> None:
    """Click a box near its corner: others may lie on its middle."""
    from selenium.webdriver import ActionChains

    box = boxes(browser)[label].find_element("css selector", "path")
    size = box.size
    corner = ActionChains(browser).move_to_element_with_offset(box, 5 - size["width"] // 2, 8 - size["height"] // 2)
    corner.click().perform()


def complaints(browser: Chrome) -> list[Any]:
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_without_complaint_and_without_a_network(browser: Chrome, whole: Path, scheme: str) -> None:
    show(browser, whole, scheme)
    assert complaints(browser) == []
    assert ask(browser, "performance.getEntriesByType('resource').length") == 0
    for section in SECTIONS:
        assert browser.find_element("id", section).text
    for chart in browser.find_elements("css selector", ".chart"):
        assert chart.find_elements("css selector", "svg path")
    assert {"stream:", "str:", "list:"} <= set(boxes(browser))


def test_what_complains_is_seen(browser: Chrome, whole: Path, tmp_path: Path) -> None:
    text = whole.read_text()
    page = tmp_path / "page.html"
    page.write_text(text.replace("<main>", "<main><script>document.title='run'</script>"))
    show(browser, page)
    assert "Content Security Policy" in str(complaints(browser))
    assert browser.title != "run"


def test_a_click_on_a_box_zooms_and_escape_goes_back(browser: Chrome, whole: Path) -> None:
    show(browser, whole)
    level = browser.find_element("id", "level")
    assert level.text.startswith("all keys (")
    click(browser, "str:")
    assert level.text.startswith("str: (")
    assert "stream:" not in boxes(browser)
    assert {"str:", "notint:", "(keys)"} <= set(boxes(browser))
    assert [row.text.split()[0] for row in browser.find_elements("css selector", "#boxes tr")] == [
        "(keys)",
        "notint:",
        "int:",
        "hll:",
    ]
    browser.find_element("id", "map").send_keys("\ue00c")
    assert level.text.startswith("all keys (")
    assert "stream:" in boxes(browser)


def test_the_keyboard_reaches_and_works_everything(browser: Chrome, whole: Path) -> None:
    show(browser, whole)
    reached = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys("\ue004")
        focused = browser.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.text)
        if focused.text == "str:":
            assert ask(browser, "getComputedStyle(document.activeElement).outlineStyle") != "none"
            focused.send_keys("\ue007")
            assert browser.find_element("id", "level").text.startswith("str: (")
            browser.switch_to.active_element.send_keys("\ue00c")
            assert browser.find_element("id", "level").text.startswith("all keys (")
        elif focused.text == "elements":
            focused.send_keys("\ue007")
            assert browser.find_element("css selector", "#key-table tbody td").text == "str:lzf3000"
    assert {"What it is", "map", "str:", "search", "key", "elements", "Figures"} <= set(reached)


def test_search_finds_a_key(browser: Chrome, whole: Path) -> None:
    show(browser, whole)
    search = browser.find_element("id", "search")
    search.send_keys("STR:lzf3000")
    rows = [row for row in browser.find_elements("css selector", "#key-table tbody tr") if row.is_displayed()]
    assert [row.text.split()[0] for row in rows] == ["str:lzf3000"]
    assert browser.find_element("id", "found").text == "1 of 115 keys"
    search.clear()
    search.send_keys("nosuch")
    assert browser.find_element("id", "found").text == "0 of 115 keys"


@pytest.mark.parametrize("column", [4, 7])
def test_columns_sort_by_number_and_both_ways(browser: Chrome, whole: Path, column: int) -> None:
    show(browser, whole)
    head = browser.find_element("css selector", f"#key-table th:nth-child({column + 1})")
    values = f"[...document.querySelectorAll('#key-table tbody tr')].map(row => Number(row.cells[{column}].dataset.v))"
    head.find_element("tag name", "button").click()
    once = ask(browser, values)
    head.find_element("tag name", "button").click()
    twice = ask(browser, values)
    assert once[0] != once[-1]
    assert once == twice[::-1] == sorted(once, reverse=once[0] > once[-1])
    assert head.get_attribute("aria-sort") in {"ascending", "descending"}


def test_hostile_names_are_shown_and_do_nothing(browser: Chrome, tmp_path: Path) -> None:
    snapshot, page = tmp_path / "x.rdb", tmp_path / "page.html"
    names = [HOSTILE, f"{HOSTILE}:a", "<b>bold</b>:<i>x", "<a href='//evil'>link</a>:y", "%{x}:1"]
    snapshot.write_bytes(craft.rdb(*(craft.record(0, name.encode(), craft.string(b"v" * 3000)) for name in names)))
    run("report", snapshot, "-o", page)
    show(browser, page)
    assert complaints(browser) == []
    assert browser.title == f"{snapshot} - rdbtool"
    assert browser.find_elements("css selector", "img, b, i, #map a") == []
    search = browser.find_element("id", "search")
    search.send_keys(HOSTILE)
    assert browser.find_element("id", "found").text == "2 of 5 keys"
    shown = ask(browser, "[...document.querySelectorAll('#map text')].map(text => text.textContent).join('')")
    for name in (f"{HOSTILE}:", "<b>bold</b>:", "<a href='//evil'>link</a>:", "%{x}:"):
        assert name.replace(" ", "") in shown.replace(" ", "")  # it is wrapped


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Chrome, whole: Path, scheme: str, tmp_path: Path) -> None:
    damaged, page = tmp_path / "x.rdb", tmp_path / "page.html"
    damaged.write_bytes(WHOLE.read_bytes()[:9000])
    run("report", damaged, "-o", page)
    for one in (whole, page):
        show(browser, one, scheme)
        ask(browser, "document.querySelectorAll('details').forEach(one => { one.open = true; })")
        told = browser.execute_script(FAINT_TEXTS, CONTRAST)
        assert told["faint"] == []
        assert told["count"] > 500
        assert told["ofBoxes"] > 10
        assert (told["page"] < 0.05) == (scheme == "dark")


def test_faint_texts_are_found(browser: Chrome, whole: Path) -> None:
    show(browser, whole, "dark")
    style = "document.documentElement.style.setProperty"
    for variable, text in (("faint", "format"), ("link", "What it is")):
        ask(browser, f"{style}('--{variable}', '#555')")
        assert text in [one["text"] for one in browser.execute_script(FAINT_TEXTS, CONTRAST)["faint"]]
    ask(browser, "document.querySelectorAll('#map text').forEach(text => { text.style.fill = '#555'; })")
    assert "stream:" in str(browser.execute_script(FAINT_TEXTS, CONTRAST)["faint"])


def drawn(browser: Chrome, chart: Any) -> float:
    """The part of a picture of ``chart`` that is not its background, 0 to 1."""
    from PIL import Image

    with Image.open(io.BytesIO(chart.screenshot_as_png)) as picture:
        colours = picture.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    return 1 - max(count for count, _ in colours) / sum(count for count, _ in colours)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_all_regions_show_something(browser: Chrome, whole: Path, scheme: str) -> None:
    show(browser, whole, scheme)
    regions = browser.find_elements("css selector", ".chart, table.bars, #key-table, #file dl")
    assert len(regions) == 1 + 4 + 4 + 1 + 1
    for region in regions:
        assert drawn(browser, region) > 0.02, region.get_attribute("outerHTML")
    chart = browser.find_element("css selector", "[data-chart=sizes]")
    ask(browser, "document.querySelectorAll('.chart svg').forEach(svg => { svg.style.visibility = 'hidden'; })")
    assert drawn(browser, chart) < 0.001


def test_it_follows_the_scheme_while_it_is_open(browser: Chrome, whole: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    show(browser, whole)
    click(browser, "str:")
    fill = (
        "getComputedStyle(document.querySelector('[data-chart=sizes] .bars path, [data-chart=sizes] .point path')).fill"
    )
    light = ask(browser, fill)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    WebDriverWait(browser, 10).until(lambda _: ask(browser, fill) != light)
    assert browser.find_element("id", "level").text.startswith("str: (")
    assert "stream:" not in boxes(browser)


def test_on_paper_it_is_light_and_as_wide_as_the_paper(browser: Chrome, whole: Path) -> None:
    show(browser, whole, "dark")
    dark = ask(browser, "getComputedStyle(document.body).backgroundColor")
    ask(browser, "dispatchEvent(new Event('beforeprint'))")
    assert ask(browser, "getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark
    widths = ask(browser, "[...document.querySelectorAll('.chart svg')].map(svg => svg.getBoundingClientRect().width)")
    assert max(widths) <= 700
    ask(browser, "dispatchEvent(new Event('afterprint'))")
    assert ask(browser, "getComputedStyle(document.body).backgroundColor") == dark
    assert browser.execute_cdp_cmd("Page.printToPDF", {})["data"]


def test_on_a_telephone_nothing_is_wider_than_the_page(browser: Chrome, whole: Path) -> None:
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        show(browser, whole)
        assert ask(browser, "document.documentElement.scrollWidth") == 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_large_page_is_seen_soon(browser: Chrome, tmp_path: Path) -> None:
    snapshot, page = tmp_path / "x.rdb", tmp_path / "page.html"
    keys = [b"application%d:%d:%d" % (i % 50, i % 2000, i) for i in range(10_000)]
    snapshot.write_bytes(
        craft.rdb(*(craft.record(0, key, craft.string(b"v" * (i % 999))) for i, key in enumerate(keys)))
    )
    run("report", snapshot, "-o", page)
    assert page.stat().st_size < 6_000_000
    show(browser, page)
    paint = ask(browser, "performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 2000
    assert len(json.loads(ask(browser, "document.getElementById('data').textContent"))["boxes"]["labels"]) > 1000
