"""The report in a real browser: it draws, answers pointer and keys, asks for nothing, runs nothing.

Debian's chromium and chromium-driver; `make test` installs both.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from scalesearch.families.front import write_front
from scalesearch.networks.latency import Conditions, Timings
from scalesearch.report import write_front_report, write_report
from tests.families.test_front import ACCURACIES, front
from tests.report.test_report import REFERENCE, SHIPPED, VERIFIED, edit

DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(DRIVER is None, reason="no chromedriver is installed (chromium-driver)"),
    pytest.mark.xdist_group("browser"),
]
# pairs of a figure's different texts that are shown less than 2 pixels apart
TOUCHING = """
  const boxes = [...arguments[0].querySelectorAll(".live svg text")]
    .filter((text) => text.textContent && getComputedStyle(text).opacity !== "0")
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  const near = (a, b) => a.left < b.right + 2 && b.left < a.right + 2
                         && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap(([text, a], i) => boxes.slice(i + 1)
    .filter(([other, b]) => other !== text && near(a, b))
    .map(([other]) => `${text} | ${other}`));
"""
EVIL = "</script><script>window.pwned = 1</script><img src=x onerror=window.pwned=1>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study whose every text is hostile."""
    folder = tmp_path_factory.mktemp("browser") / "<img src=x onerror=window.pwned=1>"
    shutil.copytree(REFERENCE, folder)
    shutil.copy(VERIFIED, folder)
    edit(folder / "plan.json", lambda d: d.update(space=EVIL))
    edit(folder / "selection.json", lambda d: d["warnings"].append(EVIL))
    edit(folder / "verify.json", lambda d: d["networks"][0].update(label=EVIL))
    trials = pd.read_csv(folder / "trials.csv").astype({"error": "object"})
    failed = {**trials.iloc[0].to_dict(), "state": "FAIL", "error": EVIL}
    pd.concat([trials, pd.DataFrame([failed])]).to_csv(folder / "trials.csv", index=False)
    return write_report(folder)


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with the page open and all its figures live."""
    options = webdriver.ChromeOptions()
    options.add_argument("--headless=new")
    options.add_argument("--disable-gpu")
    options.add_argument("--window-size=1100,900")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)  # type: ignore[no-untyped-call]
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        opened(driver, page)
        yield driver
    finally:
        driver.quit()


def opened(browser: webdriver.Chrome, page: Path) -> None:
    """Open a page, and wait until each of its figures is live."""
    browser.get(page.as_uri())
    count = page.read_text().count("<figure data-figure=")
    live = "figure[data-live=true]"
    assert count
    wait(lambda: len(browser.find_elements(By.CSS_SELECTOR, live)) == count)


def wait(done: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until something is so. Fails after that long."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "the page did not come to that"
        time.sleep(0.05)


def figure(browser: webdriver.Chrome, name: str) -> WebElement:
    found = browser.find_element(By.CSS_SELECTOR, f'figure[data-figure="{name}"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def points(of: WebElement) -> list[WebElement]:
    """The marks of a figure that are symbols."""
    return of.find_elements(By.CSS_SELECTOR, ".live .mark-symbol path")


def test_nothing_is_asked_for_and_nothing_complains(browser: webdriver.Chrome, page: Path) -> None:
    logged = browser.get_log("performance")  # type: ignore[no-untyped-call]
    messages = [json.loads(entry["message"])["message"] for entry in logged]
    sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = {m["params"]["request"]["url"] for m in sent}
    assert page.as_uri() in urls
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_hostile_text_is_inert(browser: webdriver.Chrome) -> None:
    assert browser.execute_script("return window.pwned === undefined")
    assert browser.find_elements(By.TAG_NAME, "img") == []
    text = browser.find_element(By.TAG_NAME, "body").text
    assert text.count("window.pwned = 1") >= 3


def test_every_figure_is_drawn(browser: webdriver.Chrome) -> None:
    for found in browser.find_elements(By.CSS_SELECTOR, "figure[data-figure]"):
        (drawn,) = found.find_elements(By.CSS_SELECTOR, ".live svg")
        assert len(drawn.find_elements(By.CSS_SELECTOR, "path")) > 5
        assert drawn.size["width"] > 500, "as wide as the page allows"


def test_the_pointer_shows_the_candidate(browser: webdriver.Chrome) -> None:
    of = figure(browser, "accuracy")
    label = next(m for m in of.find_elements(By.CSS_SELECTOR, ".live text") if m.text == "chosen")
    mark = label.location
    chosen = min(points(of), key=lambda p: (p.location["x"] - mark["x"]) ** 2
                 + (p.location["y"] - mark["y"]) ** 2)  # fmt: skip
    ActionChains(browser).move_to_element(chosen).perform()
    wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible"), 5)
    tip = browser.find_element(By.ID, "vg-tooltip-element").text
    selection = json.loads((REFERENCE / "selection.json").read_text())
    leader = next(row for row in selection["standings"] if row["key"] == selection["chosen"])
    assert f"P(best) {leader['p_best']:.1%}" in tip
    rows = json.loads((REFERENCE / "plan.json").read_text())["candidates"]
    depths = next(row["depths"] for row in rows if row["key"] == selection["chosen"])
    assert " ".join(map(str, depths)) in tip


def test_a_hostile_label_is_text_in_the_tooltip(browser: webdriver.Chrome) -> None:
    of = figure(browser, "transfer")
    hostile = next(row for row in json.loads(VERIFIED.read_text())["networks"])
    loss = f"{hostile['loss']:.4f}"
    for mark in points(of):
        ActionChains(browser).move_to_element(mark).perform()
        tips = browser.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible")
        if tips and loss in tips[0].text:
            break
    assert "window.pwned" in tips[0].text
    assert browser.execute_script("return window.pwned === undefined")


def test_a_press_on_the_legend_hides(browser: webdriver.Chrome) -> None:
    of = figure(browser, "accuracy")
    before = len(points(of))
    button = of.find_element(By.XPATH, ".//button[.='1x baseline']")
    button.click()
    wait(lambda: len(points(of)) < before, 5)
    assert len(points(of)) == before - 1 - 4, "its mean and four trials"
    assert button.get_attribute("aria-pressed") == "false"
    button.send_keys(Keys.ENTER)
    wait(lambda: len(points(of)) == before, 5)
    assert button.get_attribute("aria-pressed") == "true"


def test_tables_sort_by_pointer_and_by_key(browser: webdriver.Chrome) -> None:
    table = browser.find_element(By.CSS_SELECTOR, "[aria-label='Candidates'] table")
    plan = json.loads((REFERENCE / "plan.json").read_text())
    flops = sorted([row["flops"] for row in plan["candidates"]] + [plan["baseline"]["flops"]])

    def values(column: str) -> list[str]:
        titles = [th.text.split("\n")[0] for th in table.find_elements(By.CSS_SELECTOR, "thead th")]
        rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
        cells = [r.find_elements(By.CSS_SELECTOR, "th, td")[titles.index(column)] for r in rows]
        return [str(cell.get_attribute("data-value") or cell.text) for cell in cells]

    heading = table.find_element(By.XPATH, ".//thead//th[button[.='flops']]")
    button = heading.find_element(By.TAG_NAME, "button")
    button.click()
    assert values("flops") == [str(value) for value in flops]
    assert heading.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert values("flops") == [str(value) for value in reversed(flops)]
    assert heading.get_attribute("aria-sort") == "descending"
    table.find_element(By.XPATH, ".//thead//button[.='loss']").click()
    losses = values("loss")
    numbers = [float(loss) for loss in losses if loss != "–"]
    assert numbers == sorted(numbers) and set(losses[len(numbers) :]) <= {"–"}


def test_the_surface_has_its_colour_bar_and_names_the_choice(browser: webdriver.Chrome) -> None:
    shown = """
      const bar = arguments[0].querySelector(".live .role-legend-gradient [fill*=url]");
      const id = bar.getAttribute("fill").split("#")[1].replace(/[^\\w-]/g, "");
      return [document.getElementById(id).closest(".live svg") !== null,
              document.getElementById(id).querySelectorAll("stop").length,
              [...document.querySelectorAll("[id]")].length,
              new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size]
    """
    of = figure(browser, "surface")
    live, stops, ids, distinct = browser.execute_script(shown, of)
    assert live and stops > 5, "the gradient is one that the browser draws"
    assert ids == distinct
    assert "chosen" in {text.text for text in of.find_elements(By.CSS_SELECTOR, ".live text")}


def test_a_phone_and_the_dark_show_all(browser: webdriver.Chrome, page: Path) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    try:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
        for report in (SHIPPED / "report.html", page):
            opened(browser, report)
            assert browser.execute_script("return document.documentElement.scrollWidth") == 360
            body = browser.find_element(By.TAG_NAME, "body")
            assert body.value_of_css_property("background-color") == "rgba(20, 24, 30, 1)"
            axis = browser.find_element(By.CSS_SELECTOR, ".live .role-axis-label text")
            assert axis.value_of_css_property("fill") == "rgb(231, 235, 240)", "themed as well"
            for found in browser.find_elements(By.CSS_SELECTOR, ".live svg"):
                assert found.size["width"] <= 328
            for found in browser.find_elements(By.CSS_SELECTOR, "figure[data-figure]"):
                near = browser.execute_script(TOUCHING, found)
                assert near == [], found.get_attribute("data-figure")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_front_is_switched_by_pointer_and_by_key(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    times = {f"{line}-{i}": (1.0 + i,) for line in ACCURACIES for i in range(3)}
    found = front(timings=Timings(Conditions("CPU", "2.13", 1, 1), times))
    write_front(tmp_path, replace(found, lines=(replace(found.lines[0], name="resnet18"),)))
    opened(browser, write_front_report(tmp_path))

    def shown() -> list[str | None]:
        drawn = browser.find_elements(By.CSS_SELECTOR, "figure[data-figure]")
        return [one.get_attribute("data-figure") for one in drawn if one.is_displayed()]

    assert shown() == ["front_flops", "front_published_flops"]
    widths = {one.size["width"] for one in browser.find_elements(By.CSS_SELECTOR, ".live svg")}
    assert len(widths) == 1, "as wide as those that are shown"
    browser.find_element(By.CSS_SELECTOR, "label[for=front-ms]").click()
    assert shown() == ["front_ms"], "nobody published latencies of this machine"
    browser.find_element(By.ID, "front-ms").send_keys(Keys.ARROW_LEFT)
    assert shown() == ["front_activations", "front_published_activations"]
