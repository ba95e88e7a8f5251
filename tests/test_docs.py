"""What the documents show: every file in a code block is written, every command is run."""

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import astuple
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pandas as pd
import pytest
import torch
import yaml
from nbclient import NotebookClient

import scalesearch as ss
from scalesearch.cli import app
from scalesearch.data import fashion
from scalesearch.networks import zoo
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.plans.document import read_plan
from scalesearch.selection.adaptive import ON_AVERAGE, SHARE
from scalesearch.selection.selection import read_selection
from scalesearch.spaces.files import load_space, space_folder, space_schema
from tests.data.files import write_idx

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to type commands in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def type_in(line: str, *more: str) -> None:
    """Run a line of a page as it stands, `more` added; in this process, for its imports' sake."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "python":
        runpy.run_path(arguments[0], run_name="__main__")
    elif program == "make":
        # that there is such a target: what it does takes minutes, and one of them is this suite
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    else:
        assert program == "scalesearch", line
        call(arguments, *more)


def call(arguments: list[str], *more: str) -> None:
    """Run a scalesearch command; where it asks for a GPU, have that refused if there is none."""
    if "--gpus-per-trial" in arguments and not torch.cuda.is_available():
        with pytest.raises(ValueError, match="gpus_per_trial must be 0 where torch finds no GPU"):
            app([*arguments, *more], standalone_mode=False)
    else:
        app([*arguments, *more], standalone_mode=False)


def shortened(line: str) -> tuple[str, ...]:
    """What to add to a line that trains, so that it trains little: what it shows is that it works.

    Its runner is Ray where it names its workers, as one page does.
    """
    command = re.match(r"scalesearch (run|verify|train) (?!.*--gpus-per-trial)", line)
    if command is None:
        return ()
    if "--dry-run" in line:
        return ("--workers", "1")
    runner = () if "--workers" in line else ("--runner", "inline")
    few = {
        "run": ("--seeds", "2", "--epochs", "1"),
        "verify": ("--seeds", "2", "--top", "2"),
        "train": ("--epochs", "1"),
    }
    return (*runner, *few[command[1]])


def blocks(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = BLOCK.findall(text)
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with shrunken spaces, and results/ with the default run's study of them."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        shrink_spaces(folder / "spaces")
        shrink_images(folder)
        use_small(folder, patch)
        call(["run", "--budget", "2x", "--runner", "inline", "--results", str(folder / "results")])
    return folder


def shrink_spaces(folder: Path) -> None:
    """The shipped spaces, but for a small grid, a few hundred images, an epoch, in `folder`."""
    folder.mkdir()
    grid = {"alpha": [1.0, 1.2], "beta": [1.0, 1.1], "gamma": "solve"}
    for path in space_folder().glob("*.yaml"):
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        for proxy in content["proxies"].values():
            proxy |= {"train_examples": 100, "val_examples": 50, "seeds": 2}
            proxy.pop("grid", None)
            proxy["recipe"] = {**proxy.get("recipe", {}), "epochs": 1}
        if path.stem != "lenet":  # whose depth and width are fixed
            content |= {"grid": grid, "tolerance": 0.2, "matched": ["mobilenet_v1"]}
        (folder / path.name).write_text(yaml.safe_dump(content))


def shrink_images(folder: Path) -> None:
    """The first images of Fashion-MNIST, in `folder`."""
    for part, first in (("train", 1000), ("t10k", 200)):
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            name = f"{part}-{kind}-ubyte.gz"
            write_idx(folder / name, fashion.read_idx(fashion.find(name), dimensions)[:first])


def use_small(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the spaces in `folder` be the shipped ones, and the images there be Fashion-MNIST."""
    patch.setattr("scalesearch.spaces.files.space_folder", lambda: folder / "spaces")
    patch.setattr(fashion, "find", lambda name: folder / name)


@pytest.mark.long
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_works(
    page: Path, desk: Path, request: pytest.FixtureRequest
) -> None:
    text = page.read_text()
    if " results/efficientnet-fashion-mnist-2x" in text:
        shutil.copytree(request.getfixturevalue("small") / "results", desk / "results")
    if "results/lattice-fashion-mnist" in text:
        lattice = Path("results/lattice-fashion-mnist")
        shutil.copytree(ROOT / lattice, desk / lattice)
    for language, content in blocks(text):
        assert language in ("yaml", "python", "sh", "text"), f"{page.name}: {language}"
        if language in ("yaml", "python"):
            name = content.splitlines()[0].removeprefix("# ")
            assert re.fullmatch(r"[\w.]+", name), f"a block of {page.name} names no file"
            (desk / name).write_text(content)
            if language == "python":
                assert f"python {name}" in text or f"python:{name.removesuffix('.py')}" in text
        elif language == "sh":
            for line in content.splitlines():
                type_in(line, *shortened(line))


@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize(
    "name", [pytest.param("README.md", marks=pytest.mark.long), "CONTRIBUTING.md"]
)
def test_every_command_of_the_readme_works(
    name: str, desk: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the shipped spaces with few images."""
    text = (ROOT / name).read_text()
    lines = [
        line for kind, content in blocks(text) if kind == "sh" for line in content.splitlines()
    ]
    commands = [line for line in lines if line.startswith("scalesearch")]
    assert lines
    if commands:
        small: Path = request.getfixturevalue("small")
        use_small(small, monkeypatch)
        shutil.copytree(small / "results", desk / "results")
        draw_photos(desk / "photos")
    for line in lines:
        type_in(line, *shortened(line))
    for model in re.findall(r'scalesearch\.build\("([^"]+)"\)', text):
        assert isinstance(ss.build(model), torch.nn.Module)


def test_the_two_costs_of_one_shape_are_those_counted() -> None:
    """40 % wider and 40 % larger, on B0 itself and on the proxy of the first version's study."""
    b0 = zoo.find("efficientnet_b0")
    model = count(scale_arch(b0, Scale(1, 1.4, 1.4))).flops / count(b0).flops
    plan = read_plan(ROOT / "results" / "reference" / "efficientnet-first-version-2x")
    (proxy,) = (c.ratio for c in plan.candidates if c.label == "1/1.4/1.4")
    for name in ("README.md", "docs/trust.md"):
        text = " ".join((ROOT / name).read_text().split())
        assert f"{proxy:.2f}x" in text and f"{model:.1f}x" in text


def test_the_page_on_reports_has_every_section_and_every_column_of_the_candidates() -> None:
    page = (ROOT / "docs" / "reading-the-report.md").read_text()
    templates = ROOT / "scalesearch" / "report" / "templates"
    template = (templates / "report.html.j2").read_text()
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", template)
    assert len(titles) > 10
    for title in titles:
        words = re.sub(r"{{.*?}}", "", title).partition("?")[0].strip()
        assert words in page, words
    head = template.partition('id="candidates"')[2].partition("</thead>")[0]
    columns = re.findall(r'scope="col">([^{]*?)</th>', head)
    assert len(columns) > 10
    rows = re.findall(r"^\| (.*?) \|", page.partition("## Candidates")[2], re.MULTILINE)
    named = ", ".join(rows).split(", ")
    assert {column.removesuffix(" (95 %)") for column in columns} <= {*named}


def test_the_readme_s_default_run_is_the_committed_one() -> None:
    folder = ROOT / "results" / "reference" / "efficientnet-fashion-mnist-2x"
    plan, selection = read_plan(folder), read_selection(folder)
    chosen = next(c for c in plan.candidates if c.key == selection.chosen)
    assert chosen.stand is not None and selection.coefficients is not None
    low, high = selection.chosen_gain_interval
    gates = {gate.name: gate.outcome for gate in selection.gates}
    space = load_space(str(folder / "space.yaml")).proxies["quick"]
    text = " ".join((ROOT / "README.md").read_text().split())
    shipped = load_space("efficientnet").proxies["quick"]
    assert shipped == space, "the run is of the proxy that is shipped"
    alpha, beta, gamma = astuple(chosen.coefficients)
    minutes = json.loads((folder / "run.json").read_text())["seconds"] / 60
    best, every = selection.standings[0].p_best, len(plan.candidates)
    for words in (
        f"{space.train_examples:,} images of Fashion-MNIST, {every} networks",
        f"alpha {alpha:.4g}, beta {beta:.4g}, gamma {gamma:.4g}",
        f"{chosen.stand.ratio:.2f}x on B0, at {chosen.stand.resolution} px",
        f"by {selection.chosen_gain:.3f} (95 % interval {low:.3f} to {high:.3f})",
        f"of all {every} with a probability of {100 * best:.0f} %",
        f"All {len(selection.confidence_set)} may be the best",
        f"{len(pd.read_csv(folder / 'trials.csv'))} trials, {minutes:.0f} minutes on 2 cores",
        "*resolved* failed",
        "*fair* was not shown",
        "half of the full grid's trials, but three seeds a candidate where that is more",
    ):
        assert words in text, words
    assert (SHARE, ON_AVERAGE) == (0.5, 3), "as README says of the policy"
    others = {name: outcome for name, outcome in gates.items() if outcome != "passed"}
    assert others == {"resolved": "failed", "fair": "not shown"}


def test_what_the_recipes_brought_on_photographs_is_what_their_trials_say() -> None:
    text = " ".join((ROOT / "docs" / "own-data.md").read_text().split())
    found = {}
    for name in ("plain", "photos"):
        trials = pd.read_csv(ROOT / "results" / "benchmarks" / f"imagenette-{name}" / "trials.csv")
        assert trials["state"].tolist() == ["COMPLETE"] * 2
        found[name] = f"{100 * trials['accuracy'].mean():.1f} %"
    words = f"recognises {found['plain']} of those held out with `plain` and {found['photos']} with"
    assert words in text, words


def draw_photos(folder: Path) -> None:
    from PIL import Image

    for shade, name in ((40, "night"), (200, "day")):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            Image.new("RGB", (30, 24), (shade, shade + number, 9)).save(
                folder / name / f"{number}.jpg"
            )


def test_a_misspelt_option_is_noticed(desk: Path) -> None:
    with pytest.raises(Exception, match="No such option: --bugdet"):
        type_in("scalesearch plan --bugdet 2x")
    with pytest.raises(subprocess.CalledProcessError):
        type_in("make tset")


@pytest.mark.long
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    before = [cell.source for cell in notebook.cells]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert [cell.source for cell in notebook.cells] == before
    assert (tmp_path / "results" / "small-shapes-2x" / "report.html").exists()


def test_every_link_leads_to_a_file_of_the_repository() -> None:
    """Whoever reads the pages where the code is hosted has no built site."""
    folders = (ROOT / "docs", ROOT / "results")
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    links = [
        (page.relative_to(ROOT), link)
        for page in (*pages, ROOT / "docs" / "notebook.ipynb")
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if not re.match(r"\w+:", link)
    ]
    assert len(links) > 25
    assert [(page, link) for page, link in links if not (ROOT / page.parent / link).exists()] == []


class Fetched(HTMLParser):
    """What a browser fetches to show a page, and where the page's links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if (tag, name) in (("script", "src"), ("link", "href"), ("img", "src")) and value:
                self.found.append(value)
            if (tag, name) == ("a", "href") and value and not re.match(r"\w+:", value):
                self.links.append(re.split("[#?]", value)[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    found = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )
    assert found.returncode == 0, found.stderr
    assert "WARNING" not in found.stderr and "not found" not in found.stderr, found.stderr
    return folder


@pytest.mark.xdist_group("site")
def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if "results/reference" not in page.as_posix()]
    assert len(pages) > 15
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text())
        for path in parser.found:
            assert not re.match(r"(https?:)?//", path), f"{page.name} fetches {path}"
            if page.name != "404.html" and not path.startswith("data:"):
                assert (page.parent / path.partition("?")[0]).resolve().exists(), path
        for link in parser.links if page.name != "404.html" else ():
            assert (page.parent / link).resolve().exists(), f"{page.name} links to {link}"
    assert (site / "search" / "search_index.js").stat().st_size > 10_000


@pytest.mark.xdist_group("site")
def test_the_reference_has_every_function_command_and_key(site: Path) -> None:
    python, commands, keys = (
        (site / "reference" / f"{name}.html").read_text()
        for name in ("python", "commands", "space-files")
    )
    for name in ss.__all__:
        assert f'id="scalesearch.api.{name}"' in python, name
    for command in app.registered_commands:
        assert f'id="scalesearch-{command.name}"' in commands, command.name
    for table in (space_schema(), *space_schema()["$defs"].values()):
        for key, field in table["properties"].items():
            assert f"<code>{key}</code>" in keys, key
            assert len(field["description"]) > 3, f"{key} does not say what it means"


def test_the_reference_and_the_schema_are_the_code_s() -> None:
    for path, text in runpy.run_path(str(ROOT / "docs" / "write_reference.py"))["pages"]().items():
        assert path.read_text() == text, f"{path.name} is of older code: make reference"


def test_the_schema_beside_the_spaces_is_theirs() -> None:
    schema = json.loads((ROOT / "search_spaces" / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (ROOT / "search_spaces").glob("*.yaml"):
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=schema.json\n"), path.name
        jsonschema.validate(yaml.safe_load(text), schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(text) | {"tolerence": 0.1}, schema)
