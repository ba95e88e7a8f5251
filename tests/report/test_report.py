"""Reports of a committed study: what they say, that nothing in them runs, and that they compare."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from scalesearch.families.document import family, find_family
from scalesearch.families.members import member
from scalesearch.networks import zoo
from scalesearch.networks.models import at_resolution
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.report import pdf, write_comparison, write_report
from scalesearch.report.compare import compare
from scalesearch.report.content import read_content
from scalesearch.report.figures import figures_of
from scalesearch.report.page import render_html
from scalesearch.report.palette import DARK, LIGHT, themed
from scalesearch.report.transfer import expected_loss
from scalesearch.report.words import change, command, in_a_sentence, provenance
from scalesearch.selection.law import Law, Shape
from scalesearch.selection.selection import read_selection
from scalesearch.selection.verification import LawFound
from scalesearch.spaces.files import narrow
from scalesearch.studies.images import images_of
from scalesearch.studies.setup import open_search, write_images
from tests.conftest import Command

RESULTS = Path(__file__).parents[2] / "results"
REFERENCE = RESULTS / "reference" / "efficientnet-first-version-2x"
SHIPPED = RESULTS / "reference" / "efficientnet-fashion-mnist-2x"
# what verifying the first version's candidates found
VERIFIED = Path(__file__).parents[1] / "golden" / "verify.json"
FIGURES = {"plan", "accuracy", "seeds", "surface", "curves", "losses", "p_best"}
PUBLISHED = {"published_flops", "published_params", "published_activations"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A copy of the reference study, to write into."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "study"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the reference study with a verification, and its report."""
    folder = tmp_path_factory.mktemp("reported") / "study"
    shutil.copytree(REFERENCE, folder)
    shutil.copy(VERIFIED, folder)
    shutil.rmtree(folder / "figures")
    assert write_report(folder) == folder / "report.html"
    return folder


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


class Page(HTMLParser):
    """The elements of a page and its text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._inside = "", [""]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside == [""]:
            self.text += data


def test_the_page_is_one_file_that_fetches_nothing(reported: Path) -> None:
    text = (reported / "report.html").read_text()
    assert len(text.encode()) < 2e6
    page = Page(text)
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "unsafe-inline' 'sha" not in policy and "unsafe-eval" not in policy
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), f"{tag} fetches {value}"


def test_every_figure_is_still_and_live_and_a_file(reported: Path) -> None:
    text = (reported / "report.html").read_text()
    figures = re.findall(r'<figure data-figure="(\w+)">(.*?)</figure>', text, re.DOTALL)
    assert {name for name, _ in figures} == FIGURES | PUBLISHED | {"transfer", "ranks"}
    for name, inside in figures:
        assert inside.count("<svg") == 1, "shown and printed without a script"
        assert re.search(r'role="img" aria-label="[^"]{40,}"', inside)
        found = re.search(r'<script type="application/json">(.*?)</script>', inside, re.DOTALL)
        assert found and "mark" in json.dumps(json.loads(found[1])["spec"])
        assert not set(LIGHT.values()) & set(re.findall(r"#[0-9a-f]{6}", inside)), "themed"
        assert (reported / "figures" / f"{name}.svg").read_text().startswith("<svg")
        assert (reported / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_says_what_a_reader_must_know(reported: Path) -> None:
    text = Page((reported / "report.html").read_text()).text
    said = " ".join(text.split())
    selection = json.loads((reported / "selection.json").read_text())
    for warning in selection["warnings"]:
        assert warning in said
    for gate in selection["gates"]:
        assert gate["text"] in said
    for words in (
        "72 grid points",
        "make the layers 40% wider and the images 40% larger, and leave the depth as it is",
        "of 5 checks 1 failed (resolved) and 3 could not be shown (fair, not at the edge and "
        "faithful)",
        "it is the best with a probability of 39%",
        "--results .. --proxy quick --seeds",
        "learning_rate 0.02",
        "2.13.0+cpu",
        "5 min 23 s",
        "multiply-adds of convolutions and matrix products",
        "scalesearch run space.yaml --name study-again",
        "efficientnet_b0_phi7",
        "the trials support no law of shape",
        "No network of this study was trained on ImageNet",
    ):
        assert words in said, words


def test_the_committed_report_says_what_its_files_hold() -> None:
    text = Page((SHIPPED / "report.html").read_text()).text
    said = " ".join(text.split())
    selection = read_selection(SHIPPED)
    assert len(selection.gates) == 5
    for words in (selection.headline, *selection.warnings, *(g.text for g in selection.gates)):
        assert words in said
    plan = read_content(SHIPPED).plan
    for candidate in plan.candidates:
        found = candidate.stand
        assert found is not None and f"{found.resolution} px, {found.ratio:.3f}x" in said


def test_the_card_has_the_gain_of_the_choice(reported: Path) -> None:
    selection = read_selection(reported)
    gain, all_gain = f"{selection.chosen_gain:+.4f}", f"{selection.gain:+.4f}"
    card = (reported / "report.html").read_text().split('<dl class="facts">')[1].split("</dl>")[0]
    assert gain in card and gain != all_gain and all_gain not in card


def test_scaled_networks_are_called_by_their_own_names(reported: Path) -> None:
    family = find_family(reported)
    assert family is not None and len(family.matched) == 3
    page = (reported / "report.md").read_text()
    table = page.split("## Scaled up")[1].split("\n## ")[0]
    assert not re.search(r"\bB[0-8]\b", table), "the published family's names"
    assert "| efficientnet_b0_phi7 | 7 |" in table
    for name, members in family.matched.items():
        for found in members:
            assert found.name.startswith(f"{name}_as_") and f"| {found.name} |" in table


def test_a_rank_is_said_in_english(reported: Path) -> None:
    """The first version said "3. of 9"."""
    for name in ("report.md", "report.html"):
        assert not re.search(r"\b\d+\. of \d", (reported / name).read_text())


def test_images_are_counted_as_they_were(study: Path, tmp_path: Path) -> None:
    def said() -> str:
        return dict(provenance(read_content(study)))["data"]

    assert "8,000 images to train, 5,000 to validate" in said(), "as its selection has it"
    pixels = np.random.default_rng(0).integers(0, 256, (5955, 8, 8), np.uint8)
    np.savez(tmp_path / "few.npz", x_train=pixels, y_train=np.arange(5955) % 10)
    search = open_search(study)
    space = narrow(search.space, "quick", data=f"npz:{tmp_path / 'few.npz'}")
    assert space.proxies["quick"].val_examples == 5000
    write_images(search.folder, images_of(space.proxies["quick"], "quick"))
    assert "4,764 images to train, 1,191 to validate" in said(), "a fifth of 5,955"


def test_headings_are_in_order(reported: Path) -> None:
    page = Page((reported / "report.html").read_text())
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert ("html", {"lang": "en"}) in page.elements


def test_what_comes_from_files_is_inert(study: Path) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    hostile = study.rename(study.with_name("<img src=x onerror=alert(1)>"))
    edit(hostile / "plan.json", lambda d: d.update(space=evil, budget=evil, flops_convention=evil))
    edit(hostile / "selection.json", lambda d: d["warnings"].append(evil))
    shutil.copy(VERIFIED, hostile)
    edit(hostile / "verify.json", lambda d: d["networks"][0].update(label=evil))
    trials = pd.read_csv(hostile / "trials.csv").astype({"error": "object"})
    trials.loc[0, ["state", "error"]] = ["FAIL", evil]
    trials.to_csv(hostile / "trials.csv", index=False)
    write_report(hostile)
    page = Page((hostile / "report.html").read_text())
    assert page.text.count(evil) >= 3, "it is shown as it is"
    assert not [tag for tag, attributes in page.elements if tag == "img" or "onerror" in attributes]
    scripts = [a for tag, a in page.elements if tag == "script"]
    assert [a for a in scripts if not a] == [{}, {}], "the library and the page's own"
    text = (hostile / "report.md").read_text()
    assert "<script" not in text and "<img" not in text
    assert "Flops are &lt;/script>" in text


def test_a_study_without_an_answer_is_reported(study: Path, scalesearch: Command) -> None:
    for name in ("selection.json", "run.json", "trials.csv", "curves.csv", "family.json"):
        (study / name).unlink()
    lines = (study / "study.journal").read_text().splitlines(keepends=True)
    (study / "study.journal").write_text("".join(lines[: len(lines) * 3 // 4]))
    found = scalesearch("report", study, "--format", "md")
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == str(study / "report.md")
    text = (study / "report.md").read_text()
    assert "No answer yet" in text and "## Gates" not in text
    assert "Device unknown" not in text and "CPU x86_64" in text
    page = Page((study / "report.html").read_text())
    assert "there is no selection yet" in page.text
    done = pd.read_csv(study / "trials.csv")["state"].eq("COMPLETE").sum()
    assert 0 < done < 46 and f"{done} of the" in page.text


def test_a_planned_study_is_reported_before_any_trial(study: Path) -> None:
    for path in study.iterdir():
        if path.name not in ("plan.json", "space.yaml"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_report(study)
    text = (study / "report.html").read_text()
    assert {*re.findall(r'<figure data-figure="(\w+)"', text)} == {"plan"} | PUBLISHED
    assert "No trial has run to its end yet" in text


def test_no_recommendation_is_said_first(study: Path) -> None:
    edit(study / "selection.json", lambda d: d.update(recommended=False, coefficients=None))
    assert in_a_sentence(read_content(study)).startswith("No recommendation: at 2x the compute")
    page = Page(render_html("report.html.j2", {}, c=read_content(study)))
    assert "No recommendation" in page.text and "Scaled up" not in page.text


def test_a_change_in_words() -> None:
    words = change(Coefficients(0.8, 1.0, 1.15))
    assert words == (
        "make the network 20% shallower and the images 15% larger, and leave the width as it is"
    )


def test_a_study_is_said_to_be_made_where_its_trials_were(study: Path) -> None:
    """A run that trains nothing may end it elsewhere, and knows no time of a killed one."""
    edit(study / "run.json", lambda d: d.update(seconds=0.0, versions={"device": "another"}))
    trials = pd.read_csv(study / "trials.csv").assign(device="NVIDIA H200")
    trials.to_csv(study / "trials.csv", index=False)
    said = dict(provenance(read_content(study)))
    assert said["device"] == "NVIDIA H200" and said["wall time"].startswith("not on record; ")


def test_the_command_that_repeats_it(study: Path) -> None:
    edit(study / "run.json", lambda d: d["options"].update(runner="inline", workers=3))
    said = command(read_content(study.rename(study.with_name("a b"))))
    assert said == "scalesearch run space.yaml --name 'a b-again' --runner inline --workers 3"


def test_an_expected_loss_is_the_law_s_own() -> None:
    rng = np.random.default_rng(0)
    fitted = np.array([-0.8, 0.1, 0.02, 0.03])
    law = Law("linear", fitted, rng.normal(fitted, 0.01, (20000, 4)), {})
    document = json.loads(VERIFIED.read_text())["law"]
    document |= {
        "form": "linear",
        "coefficients": fitted.tolist(),
        "covariance": np.cov(law.draws.T).tolist(),
    }
    arch = zoo.find("efficientnet_b0")
    start = family("s", "budget", arch, [], {}).baseline
    scaled = member("m", 1, Scale(width=1.3, resolution=1.25), at_resolution(arch, 280), start.cost)
    found = expected_loss(
        TypeAdapter(LawFound).validate_python(document), replace(scaled, ratio=4.0), start
    )
    value, (low, high) = law.predict(Shape(4.0, 1.3, 1.25))
    assert found.loss == pytest.approx(value)
    assert found.interval == pytest.approx((low, high), rel=2e-3)


def test_csv_has_every_candidate(study: Path) -> None:
    table = pd.read_csv(write_report(study, "csv"))
    plan = json.loads((study / "plan.json").read_text())
    assert {*table["key"]} == {c["key"] for c in plan["candidates"]} | {plan["baseline"]["key"]}
    assert table["p_best"].sum() == pytest.approx(1)
    chosen = table.iloc[0]
    assert (chosen["alpha"], chosen["beta"], chosen["gamma"]) == (1.0, 1.4, 1.4)


@pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium is installed to print with")
def test_pdf_is_printed(reported: Path) -> None:
    path = write_report(reported, "pdf")
    assert path.read_bytes().startswith(b"%PDF") and path.stat().st_size > 1e5


def test_formats_and_studies_that_are_none_are_one_line(
    study: Path, monkeypatch: pytest.MonkeyPatch, scalesearch: Command, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"format must be html, md, pdf or csv, got 'doc'"):
        write_report(study, "doc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="needs Chromium to print with"):
        pdf.print_pdf(study / "report.html")
    monkeypatch.undo()
    found = scalesearch("report", tmp_path / "nothing")
    assert found.returncode == 2 and found.stderr.startswith("error: a study's directory must have")


def contrast(a: str, b: str) -> float:
    """The contrast of two colours by WCAG 2.2: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_both_themes_have_contrast_enough() -> None:
    for theme in (LIGHT, DARK):
        for name, colour in theme.items():
            if name not in ("paper", "line", "other"):
                assert contrast(colour, theme["paper"]) >= 4.5, name
        assert contrast(theme["other"], theme["paper"]) >= 3
    assert LIGHT.keys() == DARK.keys() and len({*LIGHT.values()}) == len(LIGHT)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert themed(f'fill="{LIGHT["ink"]}"') == 'fill="var(--ink)"'


def test_every_network_of_the_grid_is_in_the_plan_s_figure() -> None:
    content = read_content(REFERENCE)
    figure = next(f for f in figures_of(content) if f.name == "plan")
    points = next(rows for rows in figure.spec["datasets"].values() if len(rows) > 2)
    assert len(points) == content.plan.distinct
    inside = [row for row in points if row["group"] == "within the budget"]
    assert len(inside) == content.plan.feasible
    assert all(1.9 <= row["measured"] <= 2.1 for row in inside)


def test_the_spread_of_the_seeds_is_of_the_numbers_themselves() -> None:
    content = read_content(REFERENCE)
    figure = next(f for f in figures_of(content) if f.name == "seeds")
    drawn = [r for rows in figure.spec["datasets"].values() for r in rows if "seed" in r["tip"]]
    ended = content.trials.query("state == 'COMPLETE' and split == 'val'")
    assert sorted(row["loss"] for row in drawn) == sorted(ended["loss"]), "not four digits of them"


def test_the_choice_and_the_set_are_ringed_on_the_surface(study: Path) -> None:
    def ringed() -> list[tuple[str, int]]:
        figure = next(f for f in figures_of(read_content(study)) if f.name == "surface")
        spec = figure.spec
        return [
            (layer["mark"]["color"], len(spec["datasets"][layer["data"]["name"]]))
            for layer in spec["layer"]
            if "520" in json.dumps(layer["mark"].get("size"))
        ]

    assert ringed() == [(LIGHT["tied"], 8), (LIGHT["chosen"], 1)]
    edit(study / "selection.json", lambda d: d.update(recommended=False, coefficients=None))
    assert ringed() == [(LIGHT["tied"], 9), (LIGHT["chosen"], 0)]


def test_every_figure_is_what_vega_lites_schema_allows(reported: Path) -> None:
    # a report leaves this look out, for its time
    figures = figures_of(read_content(reported))
    assert {figure.name for figure in figures} >= FIGURES | PUBLISHED
    for figure in figures:
        figure.chart.to_dict(validate=True)


def test_published_accuracies_are_those_of_the_sources() -> None:
    figure = next(f for f in figures_of(read_content(REFERENCE)) if f.name == "published_flops")
    (rows,) = figure.spec["datasets"].values()
    found = {row["model"]: row for row in rows}
    assert found["resnet50"]["top1"] == 76.13 and found["resnet50"]["flops"] == 4_089_184_256
    assert "efficientnet_l2" not in found, "trained on more than ImageNet"


def test_studies_are_compared_and_what_differs_is_said(study: Path, tmp_path: Path) -> None:
    other = RESULTS / "reference" / "resnet-fashion-mnist-2x"
    comparison = compare([study, other])
    assert [name for name, _ in comparison.differences if name == "model"] == ["model"]
    path = write_comparison([study, other, with_fewer_images(study)], tmp_path / "out")
    assert path == tmp_path / "out" / "comparison.html"
    said = " ".join(Page(path.read_text()).text.split())
    assert "The data differ (train_examples)" in said
    assert "3 studies compared" in said and "resnet18" in said
    for name in ("comparison.md", "figures/accuracy.svg", "figures/accuracy.png"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
    table = pd.read_csv(write_comparison([study, study], tmp_path / "out", "csv"))
    assert [*table["study"]] == ["study (1)", "study (2)"]
    assert compare([study, study]).differences == ()


def with_fewer_images(study: Path) -> Path:
    """A copy of the study with fewer training images."""
    copy = Path(shutil.copytree(study, study.with_name("fewer")))
    space = (copy / "space.yaml").read_text()
    (copy / "space.yaml").write_text(space.replace("train_examples: 8000", "train_examples: 4000"))
    return copy
