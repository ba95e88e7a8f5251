"""The loop of a run: plan what is wanted, hand trials out, hear of them, decide again.

A runner holds the loop's thread while it has trials: it asks for the next one and tells what became
of those it has. So the loop stands in what it asks and tells by.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from scalesearch.search.estimate import expected_work, looked_at_test, policy_of, policy_terms
from scalesearch.search.events import (
    Asked,
    Completed,
    Decided,
    Ended,
    Epoch,
    Event,
    Failed,
    Listener,
    Lost,
    Paused,
    Work,
)
from scalesearch.selection import answer
from scalesearch.selection.choice import choose
from scalesearch.selection.losses import curves_of
from scalesearch.selection.terms import Ask, Decision, Terms
from scalesearch.studies import Study
from scalesearch.studies.setup import Search, networks, trial_of
from scalesearch.trials.key import RATES
from scalesearch.trials.runners import AskTell
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial

MadeWith = dict[str, str]
SWEEP, LOOK = "the sweep of the learning rate", "the look at the test split"


@dataclass(frozen=True, slots=True)
class Driven:
    """How a run went: how many trials it began, and why it began no more, "" at its end."""

    trials: int
    halted: str


def never(trials: int) -> str:
    """No reason to begin no more trials."""
    return ""


def drive(
    study: Study,
    decide: Callable[[], Decided],
    run: Callable[[AskTell], None],
    listeners: Sequence[Listener] = (),
    halt: Callable[[int], str] = never,
) -> Driven:
    """Train what `decide` wants, again and again, until it wants nothing.

    `run` is a runner. `halt` gives a reason to begin no more after so many trials, "" for none;
    those that run then come to their end. Whatever stops the run, no trial is left running.
    """
    loop = Loop(study, decide, listeners, halt)
    loop.plan()
    if loop.may_begin():
        try:
            run(
                AskTell(loop.ask, loop.report, loop.stopped, loop.complete, loop.fail, loop.lost),
            )
        finally:
            study.release()
    loop.tell(Ended(loop.halted))
    return Driven(loop.begun, loop.halted)


@dataclass(slots=True)
class Loop:
    """What a runner asks and tells, in the order in which it does; the study first hears of it."""

    study: Study
    decide: Callable[[], Decided]
    listeners: Sequence[Listener]
    halt: Callable[[int], str]
    begun: int = 0
    halted: str = ""
    round: list[Trial] = field(default_factory=list)  # last decided on, one not settled the last

    def plan(self) -> None:
        """Decide what is wanted next, and plan it."""
        decided = self.decide()
        self.study.plan((*decided.trials, *decided.sure))
        self.round = [*decided.trials]
        self.settle()
        self.tell(decided)

    def settle(self) -> None:
        """Take from the end of the round what has settled."""
        while self.round and self.study.settled(self.round[-1]):
            self.round.pop()

    def ask(self) -> Trial | None:
        """The next trial; all of a round having ended, the next of what is then wanted."""
        if self.round:
            self.settle()
            if not self.round:
                self.plan()
        trial = self.study.ask() if self.may_begin() else None
        if trial is not None:
            self.begun += 1
            before = trial.trained.epoch if trial.trained else self.study.trained(trial.key)
            self.tell(Asked(trial, before))
        return trial

    def may_begin(self) -> bool:
        """Whether there is a trial to begin, and no reason not to."""
        if not self.study.waiting():
            return False
        self.halted = self.halt(self.begun)
        return not self.halted

    def report(self, trial: Trial, metrics: Metrics) -> bool:
        """Record an epoch; whether the trial is to stop there."""
        stop = self.study.report(trial, metrics)
        self.tell(Epoch(trial, metrics))
        return stop

    def stopped(self, trial: Trial, curve: list[Metrics], made_with: MadeWith) -> None:
        """Record a trial that has come as far as it was to."""
        self.study.stopped(trial, curve, made_with)
        self.tell(Paused(trial, curve[-1].point))

    def complete(self, trial: Trial, curve: list[Metrics], made_with: MadeWith) -> None:
        """Record a trial that has come to its end."""
        self.study.complete(trial, curve, made_with)
        self.tell(Completed(trial, curve[-1].point))

    def fail(self, trial: Trial, message: str) -> None:
        """Record a trial that has raised."""
        self.study.fail(trial, message)
        self.tell(Failed(trial, message))

    def lost(self, trial: Trial) -> None:
        """Put back a trial whose worker has died; it counts when it is begun again."""
        self.begun -= 1
        self.study.lost(trial)
        self.tell(Lost(trial))

    def tell(self, event: Event) -> None:
        """Let everybody who listens hear of it."""
        for listen in self.listeners:
            listen(event)


def search_decisions(search: Search, study: Study) -> Callable[[], Decided]:
    """What a search wants next: what its policy asks for, then what its answer needs."""

    def decide_next() -> Decided:
        decision = decide(search, study)
        stopped = len(decision.stops)
        if decision.asks:
            trials = asked_trials(search, decision.asks)
            curves, terms = curves_of(study.history("val")), terms_of(search, study)
            begun = {(trial.key.network, trial.key.seed) for trial in study.running()}
            ahead = expected_work(search, curves, terms, begun)
            sure = asked_trials(search, decision.sure)
            return Decided(stage_text(decision.asks), trials, ahead, stopped, sure=sure)
        trials = tuple(trial for trial in checks(search, study) if study.lacks(trial))
        ahead = tuple(
            Work(trial.key.network, 0 if study.evaluates(trial) else trial.last) for trial in trials
        )
        return Decided(checks_text(trials), trials, ahead, stopped, decision.ended)

    return decide_next


def decide(search: Search, study: Study) -> Decision:
    """What the space's policy makes of all that the study knows; candidates it stops are pruned."""
    decision = policy_of(search)(curves_of(study.history("val")), terms_of(search, study))
    for key in study.recorded():
        if key.network in decision.stops and key.part == "val":
            study.prune(key, decision.stops[key.network].reason)
    return decision


def terms_of(search: Search, study: Study) -> Terms:
    """What the policy decides about, without the trials that are not to be trained any further."""
    over = study.failed() | study.pruned()
    return policy_terms(search, frozenset((key.network, key.seed) for key in over))


def asked_trials(search: Search, asks: Iterable[Ask]) -> tuple[Trial, ...]:
    """The trials that a policy asks for; those short of the last epoch pause."""
    archs = {arch.key: arch for arch in networks(search)}
    last = search.proxy.recipe.epochs
    return tuple(
        replace(
            trial_of(search, archs[ask.key], ask.seed),
            pause=ask.epochs if ask.epochs < last else None,
            look=looked_at_test(search),
        )
        for ask in asks
    )


def checks(search: Search, study: Study) -> list[Trial]:
    """What follows the search: the sweep of the learning rate, the look at the test split.

    The sweep is of two candidates with the first seeds, at the recipe's rate too where the search
    left that out; the look is of the chosen network and the baseline, with every seed that they
    have finished, at the weights that these ended with where they are there. Raises ValueError
    where the trials do not make a selection.
    """
    ranking = answer.ranking_of(search, study)
    archs = {arch.key: arch for arch in networks(search)}
    sweep = [
        replace(trial_of(search, archs[key], seed), rate=rate)
        for key in answer.swept(search)
        for seed in range(answer.swept_seeds(search))
        for rate in RATES.values()
    ]
    tested = (search.plan.baseline.key, choose(search.plan, ranking).key)
    test = [
        replace(trial_of(search, archs[key.network], key.seed), split="test")
        for key in sorted(study.finished("val"))
        if key.network in tested
    ]
    return sweep + (test if looked_at_test(search) else [])


def checks_text(trials: Sequence[Trial]) -> str:
    """What follows the search, in words."""
    looks = {LOOK if trial.split == "test" else SWEEP for trial in trials}
    return ", and ".join(sorted(looks, reverse=True))


def stage_text(asks: Sequence[Ask]) -> str:
    """What a policy asks for next, in words."""
    networks, seeds = {ask.key for ask in asks}, {ask.seed for ask in asks}
    which = f"seed {min(seeds)}" if len(seeds) == 1 else f"seeds {min(seeds)} to {max(seeds)}"
    many = "network" if len(networks) == 1 else "networks"
    return f"{len(networks)} {many}, {which}, to epoch {max(ask.epochs for ask in asks)}"
