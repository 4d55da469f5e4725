"""The order of one endpoint's deliveries."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.ordering import Lines


def lines(*entries: tuple[str, list[tuple[int, int]]], due: bool = True) -> Lines[str]:
    """In the order of the feed: (name, objects)."""
    made: Lines[str] = Lines()
    for position, (name, objects) in enumerate(entries, start=1):
        made.add(name, name, position=position, objects=objects, due=due)
    return made


def taken(found: Lines[str]) -> list[str]:
    """All that may go at once."""
    return list(iter(found.take, None))


def test_what_has_nothing_in_common_goes_at_once_in_the_order_of_the_feed() -> None:
    assert taken(lines(("a", [(1, 1)]), ("b", [(2, 1)]), ("c", []))) == ["a", "b", "c"]


def test_of_one_object_the_older_revision_goes_first_wherever_it_came() -> None:
    found = lines(("new", [(1, 2)]), ("old", [(1, 1)]))
    assert taken(found) == ["old"]
    found.end("old")
    assert taken(found) == ["new"]


def test_without_revisions_the_feed_s_order_holds() -> None:
    found = lines(("a", [(1, 0)]), ("b", [(1, 0)]))
    assert taken(found) == ["a"]


def test_what_failed_holds_back_its_own_objects_and_no_others() -> None:
    found = lines(("a", [(1, 1), (2, 1)]), ("b", [(2, 2)]), ("c", [(3, 1)]))
    assert taken(found) == ["a", "c"]
    found.again("a")
    found.end("c")
    assert taken(found) == []
    found.make_due("a", "a")
    assert taken(found) == ["a"]
    found.end("a")
    assert taken(found) == ["b"]


def test_what_waits_from_the_start_holds_back_too() -> None:
    found = lines(("a", [(1, 1)]), due=False)
    found.add("b", "b", position=2, objects=[(1, 2)], due=True)
    assert taken(found) == []


def test_an_older_one_that_comes_later_goes_before_what_has_not_begun() -> None:
    found = lines(("running", [(1, 2)]), ("waiting", [(1, 3)]))
    assert found.take() == "running"
    found.add("late", "late", position=3, objects=[(1, 1)], due=True)
    assert taken(found) == []
    found.end("running")
    assert taken(found) == ["late"]
    found.end("late")
    assert taken(found) == ["waiting"]


def test_a_circle_is_left_at_the_earliest_position() -> None:
    found = lines(("a", [(1, 2), (2, 1)]), ("b", [(1, 1), (2, 2)]))
    assert taken(found) == ["a"]
    found.end("a")
    assert taken(found) == ["b"]
    found.end("b")
    assert len(found) == 0


OBJECTS = st.dictionaries(st.integers(0, 4), st.integers(0, 6), max_size=3)


@given(st.lists(OBJECTS, max_size=20), st.randoms(use_true_random=False))
def test_everything_is_delivered_once_and_nothing_twice(events: list[dict[int, int]], dice) -> None:
    found: Lines[int] = Lines()
    for position, objects in enumerate(events):
        found.add(position, position, position=position, objects=list(objects.items()), due=True)
    running: list[int] = []
    done: list[int] = []
    while len(done) < len(events):
        item = found.take()
        if item is not None:
            running.append(item)
        if item is None or dice.random() < 0.3:
            ended = running.pop(dice.randrange(len(running)))
            found.end(ended)
            done.append(ended)
    assert sorted(done) == list(range(len(events)))
    assert found.take() is None


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=20, unique=True),
    st.randoms(use_true_random=False),
)
def test_of_each_object_revisions_rise(events: list[tuple[int, int]], dice) -> None:
    """Each event of one object: then there are no circles, and the promise holds without exception."""
    found: Lines[int] = Lines()
    for position, pair in enumerate(events):
        found.add(position, position, position=position, objects=[pair], due=True)
    begun: list[int] = []
    running: list[int] = []
    while len(found):
        item = found.take()
        if item is not None:
            running.append(item)
            begun.append(item)
        elif running:
            ended = running.pop(dice.randrange(len(running)))
            if dice.random() < 0.3:
                found.again(ended)
                begun.remove(ended)
                found.make_due(ended, ended)
            else:
                found.end(ended)
    for thing in range(4):
        revisions = [events[place][1] for place in begun if events[place][0] == thing]
        assert revisions == sorted(revisions)
