"""What a report says in sentences: the answer for whoever decides, and how to repeat it."""

import shlex
from collections.abc import Mapping, Sequence

from scalesearch.families.front import Efficiency, Front, FrontRow, Step
from scalesearch.files import plain
from scalesearch.networks.latency import Conditions
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.told import is_told
from scalesearch.report.content import Content, Row
from scalesearch.selection.gates import Gate
from scalesearch.spaces.growth import added
from scalesearch.spaces.metric import Metric
from scalesearch.spaces.space import Growth
from scalesearch.studies.record import RunRecord
from scalesearch.units import counted, duration, milliseconds

CHANGES = {
    "alpha": ("the network", "deeper", "shallower", "depth"),
    "beta": ("the layers", "wider", "narrower", "width"),
    "gamma": ("the images", "larger", "smaller", "image size"),
}
AGAINST = {"flops": "flops", "params": "parameters", "activations": "activations", "ms": "latency"}


def in_a_sentence(content: Content) -> str:
    """The answer in one sentence for a reader who knows none of the words."""
    selection, plan = content.selection, content.plan
    if selection is None:
        done = content.states.get("COMPLETE", 0)
        return (
            f"No answer yet: {done} of the {len(content.trials)} trials planned so far have "
            "finished, and candidates can be compared only after two seeds of each."
        )
    if selection.coefficients is None or content.chosen is None:
        return (
            f"No recommendation: at {plan.budget} the compute the candidates were not better "
            "than the network you have beyond noise, so this study cannot say how to spend it."
        )
    how = sureness(content.chosen, len(selection.ties), len(plan.candidates))
    return (
        f"For {plan.budget} the compute, {change(selection.coefficients)}: "
        f"{how}; {verdict(selection.gates)}."
    )


def change(coefficients: Coefficients) -> str:
    """What to do to the network, in words."""
    parts, kept = [], []
    for axis, (what, more, less, noun) in CHANGES.items():
        value: float = getattr(coefficients, axis)
        if value == 1:
            kept.append(f"the {noun}")
        else:
            parts.append(f"{what} {abs(value - 1):.0%} {more if value > 1 else less}")
    left = f", and leave {listed(kept)} as {'it is' if len(kept) == 1 else 'they are'}"
    return f"make {listed(parts)}{left if kept else ''}"


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence with commas and an 'and'."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def sureness(chosen: Row, tied: int, count: int) -> str:
    """How likely the choice is the best of `count` candidates, in words."""
    share = chosen.standing.p_best if chosen.standing else 0.0
    if tied > 1:
        return (
            f"{tied} of {count} candidates are as good as each other for all that the trials say, "
            f"and of those this one is the cheapest to run (it is the best of all {count} with a "
            f"probability of {share:.0%})"
        )
    return f"of all {count} candidates it is the best with a probability of {share:.0%}"


def verdict(gates: Sequence[Gate]) -> str:
    """What the gates make of it, in words."""
    failed = [gate.name for gate in gates if gate.outcome == "failed"]
    unknown = [gate.name for gate in gates if gate.outcome == "not shown"]
    if not gates:
        return "no checks were made"
    parts = [f"{len(failed)} failed ({listed(failed)})"] if failed else []
    parts += [f"{len(unknown)} could not be shown ({listed(unknown)})"] if unknown else []
    if not parts:
        return f"all {len(gates)} checks passed"
    return f"of {len(gates)} checks {listed(parts)}, so take it as provisional"


def command(content: Content) -> str:
    """The command that repeats the study, beside its space.yaml."""
    words = ["scalesearch", "run", "space.yaml", "--name", f"{content.name}-again"]
    if content.plan.proxy != "quick":
        words += ["--proxy", content.plan.proxy]
    options = content.run.options if content.run else {}
    for name, default in (("runner", "ray"), ("gpus_per_trial", 0.0), ("workers", None)):
        if options.get(name, default) != default:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    return shlex.join(words)


def stands(content: Content) -> bool:
    """Whether the candidates stand for networks of the model itself."""
    return any(candidate.stand for candidate in content.plan.candidates)


def on_the_model(row: Row) -> str:
    """The images' side and the cost, over the baseline's, of the network that a row stands for."""
    stand = row.network.stand
    return f"{stand.resolution} px, {stand.ratio:.3f}x" if stand else "–"


def more_seeds(content: Content) -> str:
    """The command that trains the seeds that would mend a gate, beside space.yaml; "" for none."""
    gates = content.selection.gates if content.selection else ()
    wanted = [gate.seeds for gate in gates if gate.seeds]
    if not wanted:
        return ""
    words = ["scalesearch", "run", "space.yaml", "--name", content.name, "--results", ".."]
    words += ["--proxy", content.plan.proxy, "--seeds", str(max(wanted))]
    return shlex.join(words)


def provenance(content: Content) -> list[tuple[str, str]]:
    """How the study was made: what a reader needs to judge and to repeat it."""
    proxy, versions = content.proxy, content.made_with
    seconds = content.trials["seconds"].fillna(0).sum()
    shape = {name: value for name in SHAPE if (value := getattr(proxy, name)) is not None}
    model = content.space.model
    return [
        ("space, proxy", f"{content.plan.space}, {content.plan.proxy}"),
        ("model", model if isinstance(model, str) else model.name or "a stage table"),
        ("proxy's shape", pairs(shape)),
        *([("training", training(content))] if content.own else []),
        ("data", data_text(content)),
        ("recipe", pairs(plain(proxy.recipe))),
        *given_more(content),
        ("fidelity", f"{proxy.recipe.epochs} epochs for a trial that is not stopped"),
        ("seeds", f"at most {proxy.seeds} a candidate, policy {content.space.policy}"),
        ("trials", pairs({k.lower(): n for k, n in content.states.items()}) or "none"),
        ("flops", content.plan.flops_convention),
        ("wall time", f"{wall_time(content.run)}; {duration(seconds)} of training in its trials"),
        ("device", versions.get("device", "unknown")),
        ("versions", pairs({k: v for k, v in versions.items() if k != "device"}) or "unknown"),
    ]


def wall_time(run: RunRecord | None) -> str:
    """What a study's runs took, as far as they came to an end."""
    if run is None:
        return "not finished"
    if not run.seconds:  # whatever trained was killed, and another run ended the study
        return "not on record"
    return f"{duration(run.seconds)}, runner {run.options['runner']}"


def given_more(content: Content) -> list[tuple[str, str]]:
    """What each candidate was given more of than the baseline; nothing where nothing grows."""
    recipe, start = content.proxy.recipe, content.plan.baseline
    if recipe.growth == Growth():
        return []
    said = []
    for row in content.plan.candidates:
        more = added(recipe, row.flops / start.flops, sum(row.depths) / sum(start.depths))
        values = {"learning_rate": f"{more.learning_rate:.3g}"} | {
            name: f"{value:+.3g}"
            for name in ("dropout", "stochastic_depth", "randaugment")
            if (value := getattr(more, name))
        }
        said.append(f"{content.plan.names[row.key]}: {pairs(values)}")
    return [("given more, as they grow", "; ".join(said))]


def training(content: Content) -> str:
    """What trained in place of ours, and what it told."""
    metric = content.metric
    return f"{content.space.train}, which tells {metric.name} ({metric.direction})"


def data_text(content: Content) -> str:
    """What was trained on."""
    if content.own and content.proxy.data is None:
        return "the training function's own"
    return f"{content.proxy.data}: {images(content)}"


def what_loss_is(content: Content) -> str:
    """Which loss a report shows of a network, and where each trial's own is."""
    mean = "the mean of its n seeds; trials.csv has each trial's own"
    loss = content.metric.name
    if content.selection is None:
        return f"A network's {loss} is {mean}."
    return (
        f"The {loss} and P(best) of a candidate that was compared, and the {loss} of the 1x "
        f"baseline, are the selection's, the same as select and status show; the {loss} of any "
        f"other network is {mean}."
    )


def compared_by(content: Content) -> str:
    """What networks were compared by, as a sentence begins."""
    selection = content.selection
    assert selection is not None
    if content.own:
        many = f"{selection.examples} examples" if selection.examples > 1 else "seeds alone"
        return f"Networks are compared by {selection.metric}, of {many}"
    return f"Loss is {selection.metric}, over {selection.examples} images"


def images(content: Content) -> str:
    """How many images there were. Of a study that did not write it down: how many were validated
    on, as its selection has it, and what its space asked for."""
    train, val = content.images.train, content.images.val
    if train is None:
        asked = content.proxy.train_examples
        train_text = f"{asked:,} images to train" if asked else "all images to train"
    else:
        train_text = f"{train:,} images to train"
    if val is None and content.selection:
        val = content.selection.examples
    most = f"at most {content.proxy.val_examples:,} to validate"
    return f"{train_text}, {most if val is None else f'{val:,} to validate'}"


SHAPE = (
    *("depth", "width", "resolution", "divisor", "stem_stride", "strides", "output_stride"),
    *("dropout", "stochastic_depth"),
)


def pairs(values: Mapping[str, object]) -> str:
    """Names and values with commas between."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def percent(value: float | None) -> str:
    """A share in percent with two decimals; a dash for none."""
    return "–" if value is None else f"{100 * value:.2f} %"


def signed(interval: Sequence[float]) -> str:
    """An interval with signs."""
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"


def md_text(value: object) -> str:
    """A value as one line of text that cannot end a Markdown table's cell or start HTML."""
    text = " ".join(line.strip() for line in str(value).splitlines())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def times_text(found: Efficiency, front: Front) -> str:
    """At equal accuracy a line needs so many times the flops of the first, in one sentence."""
    mine, other = front.lines[0].name, found.line
    level = level_text(found.accuracy, front.metric)
    level = level if front.metric is None else f"{front.metric.name} {level}"
    if found.ratio is None:
        return f"{other} does not reach the {level} that {mine} begins with."
    if found.at_most:
        return (
            f"{other} begins above {level}, the highest that {mine} reaches: it needs at most "
            f"{found.ratio:.2f} times the flops."
        )
    said = f"At {level} {other} needs {found.ratio:.2f} times the flops of {mine}"
    if found.low is None:
        return f"{said}; there are too few seeds for an interval."
    high = "not reached" if found.high is None else f"{found.high:.2f}"
    return f"{said} ({found.low:.2f} to {high})."


def level_text(value: float, metric: Metric | None) -> str:
    """An accuracy in percent, or a metric of the user's own."""
    return percent(value) if metric is None else f"{value:.4f}"


def score_text(row: FrontRow, metric: Metric | None) -> str:
    """What a network of a front is worth, with its interval: in percent, or in its own metric."""
    said = level_text(row.accuracy, metric)
    if row.interval is None:
        return said
    low, high = (level_text(end, metric) for end in row.interval)
    return f"{said} ({low} to {high})"


def costs_drawn(front: Front) -> dict[str, str]:
    """What a front is drawn against, and what the page calls it: latency where that was timed."""
    return {cost: name for cost, name in AGAINST.items() if cost != "ms" or front.timed}


def latency_text(row: FrontRow) -> str:
    """A network's milliseconds and half of their interval, where it was timed."""
    return milliseconds(row.ms, row.ms_low, row.ms_high) or "–"


def timed_text(timed: Conditions) -> str:
    """What milliseconds are of, in a sentence."""
    if is_told(timed.device):
        return f"ms are what {timed.device} tells of a batch of {timed.batch}."
    return (
        f"ms are of a forward pass of {counted(timed.batch, 'image')} in eval mode, float32, on "
        f"{timed.device}, {counted(timed.threads, 'thread')}: medians and 95 % intervals."
    )


def step_text(step: Step, front: Front) -> str:
    """What the last growth of a line gained, and whether it pays."""
    if front.metric is None:
        gain, digits = f"gains {100 * step.gain:+.2f} points over", 2
    else:
        gain, digits = f"differs by {step.gain:+.4f} of {front.metric.name} from", 4
    said = f"{step.line}: {step.last} {gain} {step.before}"
    if step.interval is None:
        return f"{said}."
    low, high = ((100 if front.metric is None else 1) * end for end in step.interval)
    end = "" if step.pays else ", no more than seeds may explain: that growth pays is not shown"
    return f"{said} ({low:+.{digits}f} to {high:+.{digits}f}){end}."
