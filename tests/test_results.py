"""Every study that is committed under results/ is read as it stands, whatever version wrote it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import scalesearch as ss
from benchmarks import lineage, proxies
from benchmarks.recipe import BASE, DEEP, PAGE, RECORD, differences, rows_of, verdict
from scalesearch.families.front import find_front
from scalesearch.plans.document import read_plan
from scalesearch.report.content import read_content
from scalesearch.report.figures.front import entries_of
from scalesearch.search.events import Work
from scalesearch.search.schedule import Round, wall_time
from scalesearch.selection.adaptive import adaptive
from scalesearch.selection.policy import grid
from scalesearch.selection.replay import read_table
from scalesearch.selection.selection import read_selection
from scalesearch.selection.terms import Terms
from scalesearch.selection.verification import find_verification
from scalesearch.spaces.files import load_space
from tests.conftest import Command

RESULTS = Path(__file__).parents[1] / "results"
STUDIES = sorted(path.parent for path in RESULTS.rglob("plan.json"))


@pytest.mark.parametrize("committed", STUDIES, ids=lambda path: path.name)
def test_every_command_reads_a_committed_study(
    committed: Path, scalesearch: Command, tmp_path: Path
) -> None:
    # commands are typed in the study's own directory, where a space finds a network of one's own
    study = Path(shutil.copytree(committed, tmp_path, dirs_exist_ok=True))
    plan, before = read_plan(study), read_selection(study)
    ss.trust(study)  # which it asks for where it names code

    reported = scalesearch("report", study, "--format", "csv")
    assert (reported.returncode, reported.stderr) == (0, "")
    table = pd.read_csv(study / "report.csv", index_col="key")
    assert {*table.index} == {plan.baseline.key, *(c.key for c in plan.candidates)}
    metric = load_space(str(study / "space.yaml")).compares
    for standing in before.standings:
        row, expected = table.loc[standing.key], metric.value(standing.loss)
        assert (row[metric.name], row["p_best"]) == pytest.approx((expected, standing.p_best))

    for command in ("status", "select"):
        found = scalesearch(command, study, "--json")
        assert (found.returncode, found.stderr) == (0, ""), found.stderr
        assert "headline" in json.loads(found.stdout) or "states" in json.loads(found.stdout)

    scaled = scalesearch(
        *("scale", "--study", study, "--phi", "1,2", "--match", "", "--out", "found", "--json")
    )
    assert scaled.returncode == (0 if before.recommended else 2), scaled.stderr
    if not before.recommended:
        return
    member, larger = json.loads(scaled.stdout)["members"]
    if (study / "family.json").exists():
        family = json.loads((study / "family.json").read_text())["members"][:2]
        assert [(row["name"], row["flops"]) for row in family] == [
            (row["name"], row["flops"]) for row in (member, larger)
        ]
    kept = study / "family" / f"{member['name']}.yaml"
    file = kept if kept.exists() else tmp_path / "found" / "family" / kept.name
    exported = scalesearch("export", file, "--format", "safetensors", "--json")
    if load_space(str(study / "space.yaml")).train is not None:  # of a network without logits
        assert exported.returncode == 2 and exported.stderr.count("\n") == 1
        assert "must give logits to be checked by" in exported.stderr
        return
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["flops"] == member["flops"]


def test_verify_says_how_it_is_called(scalesearch: Command) -> None:
    found = scalesearch("verify", "--help")
    assert found.returncode == 0 and "--phi" in found.stdout


def test_the_lattice_has_every_trial_and_takes_its_baseline_to_88_percent() -> None:
    content = read_content(RESULTS / "lattice-fashion-mnist")
    assert len(content.candidates) >= 10 and {row.n for row in content.candidates} == {8}
    base = content.plan.baseline.key
    networks = {base, *(row.key for row in content.candidates)}
    known = content.curves[content.curves["candidate"].isin(networks)]
    epochs = content.proxy.recipe.epochs
    assert len(known) == len(networks) * 8 * epochs, "a row for each network, seed and epoch"
    last = known[(known["candidate"] == base) & (known["epoch"] == epochs)]
    assert last["accuracy"].mean() >= 0.88
    assert dict(content.made_with)["device"] == "NVIDIA H200"


def test_what_the_pages_say_of_the_lattice_at_4x_is_so() -> None:
    found = find_verification(RESULTS / "lattice-fashion-mnist")
    assert found is not None and found.law.why_no_law is not None
    text = " ".join((RESULTS.parent / "docs" / "trust.md").read_text().split())
    low, high = found.transfer.interval
    apart = {axis.axis: axis for axis in found.axes}
    for said in (
        f"at 4x, {found.seeds} seeds each",
        f"is {found.transfer.rank_correlation:+.2f} (95 % interval {low:+.2f} to {high:+.2f})",
        f"Depth alone ends {apart['depth only'].difference:.3f} higher",
        f"width alone {apart['width only'].difference:.3f};",
        f"errs by {found.law.error:.4f}, the candidate's own loss at phi = 1 by "
        f"{found.law.error_best_so_far:.4f}",
        "best three there ask for up to 40 px",
    ):
        assert said in text, said
    assert all(apart[f"{axis} only"].interval[0] > 0 for axis in ("depth", "width"))
    assert apart["resolution only"].interval[0] < 0 < apart["resolution only"].interval[1]
    best = sorted(found.networks, key=lambda network: network.loss)
    sides = [*{network.key: network.resolution for network in best}.values()]
    assert min(sides[:3]) > 28 >= max(sides[3:]) and max(sides) == 40


def test_what_the_page_of_clusters_says_of_many_workers_is_so() -> None:
    table = read_table(RESULTS / "lattice-fashion-mnist")
    _, seeds, epochs = table.losses.shape
    terms = Terms(table.keys[:-1], table.keys[-1], seeds, epochs)
    trials = pd.read_csv(RESULTS / "lattice-fashion-mnist" / "trials.csv")
    mine = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    took = mine.groupby("candidate")["seconds"].mean()
    text = " ".join((RESULTS.parent / "docs" / "cluster.md").read_text().split())
    place = {key: i for i, key in enumerate(table.keys)}
    for policy in (adaptive, grid):
        rounds, curves = list[Round](), dict[tuple[str, int], list[float]]()
        while (decision := policy(curves, terms)).asks:
            work = {ask: Work(ask.key, epochs) for ask in decision.asks}
            rounds.append(Round(work, frozenset(decision.sure)))
            for ask in work:
                curves[ask.key, ask.seed] = table.losses[place[ask.key], ask.seed].tolist()
        minutes = [wall_time(rounds, lambda w: took[w.network] / 60, n) for n in (2, 4, 8, 16)]
        *some, last = (f"{value:.1f}" for value in minutes)
        assert f"{', '.join(some)} and {last} min" in text, policy
        assert f"({len(curves)} trials)" in text, policy


def test_the_page_of_the_lineage_is_of_its_trials() -> None:
    front = find_front(RESULTS / "lineage")
    assert front is not None and {row.name for row in front.rows} == {*lineage.LINEAGE}
    assert {row.seeds for row in front.rows} == {2}, "as results/README.md says"
    looks = {(entry.colour, entry.shape) for entry in entries_of(front)}
    assert len(looks) == len(front.lines) == 9, "each line looks its own"
    assert (RESULTS / "lineage" / "lineage.md").read_text() == lineage.page(front)
    ends = pd.read_csv(RESULTS / "lineage" / "trials.csv")
    assert sum(row.seeds for row in front.rows) == (ends["state"] == "COMPLETE").sum()


def test_the_page_of_proxies_is_of_its_record_and_quick_is_the_shipped_one() -> None:
    space, text = load_space(proxies.SPACE), proxies.RESULT.read_text()
    record = pd.read_csv(proxies.RECORD)
    found = proxies.found_in(record, space)
    assert {*found} == {*space.proxies} == {*pd.read_csv(proxies.TIMES)["proxy"]}
    for line in proxies.table(space, found):
        assert f"{line}\n" in text
    theirs = proxies.losses_of(proxies.read_trials(proxies.REFERENCE, "the reference"))
    told = {name: proxies.fidelity(losses, theirs) for name, losses in found.items()}
    alike = [name for name, proxy in space.proxies.items() if proxy.resolution == 20]
    alike = [name for name in alike if space.proxies[name].width == 0.125]
    assert len(alike) == 5 and {f"{told[name].regret[0]:.4f}" for name in alike} == {"0.0008"}
    assert f"{told['half-the-width'].regret[0]:.4f}" == "0.0099", "as benchmarks/proxies.md says"
    assert {told[name].common for name in ("fewer-pixels", "fine-maps")} == {4}
    ours, shipped = space.proxies["quick"], load_space("efficientnet").proxies["quick"]
    assert replace(ours, grid=None) == replace(shipped, grid=None)


def test_the_page_of_recipes_is_of_its_record_and_quick_has_the_better_one() -> None:
    table, text = pd.read_csv(RECORD), PAGE.read_text()
    for network in (BASE, DEEP):
        for row in rows_of(differences(table, network)):
            assert f"{row}\n" in text
    mirrored = differences(table, BASE).set_index("recipe").loc["mirrored"]
    assert verdict(mirrored["apart"], mirrored["half"]) == "worse"
    assert load_space("efficientnet").proxies["quick"].recipe.flip is False
