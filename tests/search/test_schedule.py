"""How long rounds of work take, by hand."""

from scalesearch.search.events import Work
from scalesearch.search.schedule import Round, wall_time

LONG, SHORT = Work("long", 4), Work("short", 1)


def seconds(work: Work) -> float:
    return 10.0 * work.epochs


def test_a_round_begins_when_the_one_before_has_ended() -> None:
    first = Round({("a", 0): SHORT, ("b", 0): LONG})
    second = Round({("a", 1): SHORT, ("b", 1): LONG})
    assert wall_time([first, second], seconds, 1) == 10 + 40 + 10 + 40
    assert wall_time([first, second], seconds, 2) == wall_time([first, second], seconds, 9) == 80
    assert wall_time([], seconds, 2) == wall_time([Round({})], seconds, 2) == 0


def test_parts_are_begun_in_their_order_by_whoever_is_free_first() -> None:
    many = Round({("a", 0): SHORT, ("b", 0): LONG, ("c", 0): SHORT, ("d", 0): SHORT})
    assert wall_time([many], seconds, 2) == 40, "three short ones beside the long one"
    last = Round({("a", 0): SHORT, ("c", 0): SHORT, ("d", 0): SHORT, ("b", 0): LONG})
    assert wall_time([last], seconds, 2) == 10 + 40


def test_what_is_sure_is_begun_by_whoever_would_wait() -> None:
    sure = frozenset({("a", 1), ("b", 1)})
    first = Round({("a", 0): SHORT, ("b", 0): LONG}, sure)
    second = Round({("c", 1): LONG}, sure - {("a", 1)})
    third = Round({("a", 1): SHORT, ("b", 1): LONG})
    # one worker is free after 10: a's second seed to 20, then b's to 60; the round ends at 40
    assert wall_time([first, second, third], seconds, 2) == 80, "c from 40 to 80"
    without = [Round(one.work) for one in (first, second, third)]
    assert wall_time(without, seconds, 2) == 40 + 40 + 40
    assert wall_time([first, second, third], seconds, 1) == wall_time(without, seconds, 1) == 140


def test_nobody_begins_what_is_sure_when_the_round_is_over() -> None:
    first = Round({("a", 0): LONG, ("b", 0): LONG}, frozenset({("c", 0)}))
    second = Round({("d", 0): LONG, ("e", 0): LONG})
    third = Round({("c", 0): SHORT})
    assert wall_time([first, second, third], seconds, 2) == 40 + 40 + 10
