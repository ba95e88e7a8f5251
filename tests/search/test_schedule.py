"""How long rounds of work take, by hand."""

from scalesearch.search.events import Work
from scalesearch.search.schedule import Round, wall_time
from scalesearch.selection.terms import Ask

LONG, SHORT = Work("long", 4), Work("short", 1)


def seconds(work: Work) -> float:
    return 10.0 * work.epochs


def test_a_round_begins_when_the_one_before_has_ended() -> None:
    first = Round({Ask("a", 0, 4): SHORT, Ask("b", 0, 4): LONG})
    second = Round({Ask("a", 1, 4): SHORT, Ask("b", 1, 4): LONG})
    assert wall_time([first, second], seconds, 1) == 10 + 40 + 10 + 40
    assert wall_time([first, second], seconds, 2) == wall_time([first, second], seconds, 9) == 80
    assert wall_time([], seconds, 2) == wall_time([Round({})], seconds, 2) == 0


def test_parts_are_begun_in_their_order_by_whoever_is_free_first() -> None:
    many = Round(
        {Ask("a", 0, 4): SHORT, Ask("b", 0, 4): LONG, Ask("c", 0, 4): SHORT, Ask("d", 0, 4): SHORT}
    )
    assert wall_time([many], seconds, 2) == 40, "three short ones beside the long one"
    last = Round(
        {Ask("a", 0, 4): SHORT, Ask("c", 0, 4): SHORT, Ask("d", 0, 4): SHORT, Ask("b", 0, 4): LONG}
    )
    assert wall_time([last], seconds, 2) == 10 + 40


def test_what_is_sure_is_begun_by_whoever_would_wait() -> None:
    sure = frozenset({Ask("a", 1, 4), Ask("b", 1, 4)})
    first = Round({Ask("a", 0, 4): SHORT, Ask("b", 0, 4): LONG}, sure)
    second = Round({Ask("c", 1, 4): LONG}, sure - {Ask("a", 1, 4)})
    third = Round({Ask("a", 1, 4): SHORT, Ask("b", 1, 4): LONG})
    # one worker is free after 10: a's second seed to 20, then b's to 60; the round ends at 40
    assert wall_time([first, second, third], seconds, 2) == 80, "c from 40 to 80"
    without = [Round(one.work) for one in (first, second, third)]
    assert wall_time(without, seconds, 2) == 40 + 40 + 40
    assert wall_time([first, second, third], seconds, 1) == wall_time(without, seconds, 1) == 140


def test_nobody_begins_what_is_sure_when_the_round_is_over() -> None:
    first = Round({Ask("a", 0, 4): LONG, Ask("b", 0, 4): LONG}, frozenset({Ask("c", 0, 4)}))
    second = Round({Ask("d", 0, 4): LONG, Ask("e", 0, 4): LONG})
    third = Round({Ask("c", 0, 4): SHORT})
    assert wall_time([first, second, third], seconds, 2) == 40 + 40 + 10


def test_what_was_sure_and_has_ended_takes_nobody_back_in_time() -> None:
    first = Round({Ask("a", 0, 4): SHORT, Ask("b", 0, 4): LONG}, frozenset({Ask("a", 1, 4)}))
    second = Round({Ask("a", 1, 4): SHORT})  # ended at 20, and is decided on at 40
    third = Round({Ask("c", 1, 4): LONG})
    assert wall_time([first, second, third], seconds, 2) == 80


def test_a_trial_that_pauses_is_timed_each_time() -> None:
    first, second = Round({Ask("a", 0, 1): SHORT}), Round({Ask("a", 0, 4): LONG})
    assert wall_time([first, second], seconds, 2) == 50
