"""The bounded queue: what is kept, in which order, and how it is counted."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from swprof_mw.reporter.outbox import Outbox


def test_items_come_in_their_order_and_stay_until_they_are_gone() -> None:
    outbox: Outbox[int] = Outbox(10)
    assert [outbox.add(item) for item in (1, 2, 3)] == [True, True, True]
    assert outbox.batch(2) == [1, 2]
    assert outbox.batch(2) == [1, 2]
    assert len(outbox) == 3
    outbox.done(2)
    assert (outbox.batch(2), outbox.sent, len(outbox)) == ([3], 2, 1)


def test_a_smaller_batch_after_a_larger_one_is_its_beginning() -> None:
    outbox: Outbox[int] = Outbox(10)
    for item in range(6):
        outbox.add(item)
    assert outbox.batch(4) == [0, 1, 2, 3]
    assert outbox.batch(2) == [0, 1]
    outbox.done(2)
    assert outbox.batch(3) == [2, 3, 4]


def test_a_full_one_drops_the_newest_items_of_the_batch_included() -> None:
    outbox: Outbox[int] = Outbox(2)
    assert [outbox.add(item) for item in (1, 2, 3)] == [True, True, False]
    outbox.batch(2)
    assert not outbox.add(4)
    assert outbox.dropped == 2
    outbox.done(1)
    assert outbox.add(5)
    assert outbox.batch(9) == [2, 5]


def test_what_nobody_takes_is_counted_apart() -> None:
    outbox: Outbox[int] = Outbox(10)
    for item in range(5):
        outbox.add(item)
    outbox.batch(5)
    outbox.done(4, refused=3)
    assert (outbox.sent, outbox.refused, outbox.dropped) == (1, 3, 0)


def test_what_is_left_at_the_end_is_dropped() -> None:
    outbox: Outbox[int] = Outbox(10)
    for item in range(5):
        outbox.add(item)
    outbox.batch(2)
    assert outbox.abandon() == 5
    assert (len(outbox), outbox.dropped, outbox.batch(9)) == (0, 5, [])
    assert outbox.abandon() == 0


@given(st.lists(st.one_of(st.just("add"), st.tuples(st.integers(1, 5), st.booleans())), max_size=60), st.integers(1, 6))
def test_every_item_is_queued_sent_or_dropped(steps: list[str | tuple[int, bool]], limit: int) -> None:
    outbox: Outbox[int] = Outbox(limit)
    added: list[int] = []
    taken: list[int] = []
    offered = 0
    for step in steps:
        if isinstance(step, str):
            if outbox.add(offered):
                added.append(offered)
            offered += 1
        else:
            size, works = step
            batch = outbox.batch(size)
            assert len(batch) == min(size, len(outbox))
            if works:
                taken += batch
                outbox.done(len(batch))
        assert len(outbox) <= limit
    assert taken + outbox.batch(100) == added
    assert outbox.sent + len(outbox) + outbox.dropped == offered


def test_many_threads_add_while_one_takes_and_nothing_gets_lost() -> None:
    outbox: Outbox[int] = Outbox(500)
    threads, each = 6, 5_000
    ended = threading.Event()
    taken: list[int] = []

    def take() -> None:
        while not ended.is_set() or len(outbox):
            batch = outbox.batch(50)
            taken.extend(batch)
            outbox.done(len(batch))

    taker = threading.Thread(target=take)
    adders = [
        threading.Thread(target=lambda first=first: [outbox.add(first + n) for n in range(each)])
        for first in range(0, threads * each, each)
    ]
    taker.start()
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    ended.set()
    taker.join()
    assert len(set(taken)) == len(taken) == outbox.sent
    assert outbox.sent + outbox.dropped == threads * each
    for first in range(0, threads * each, each):
        own = [item for item in taken if first <= item < first + each]
        assert own == sorted(own)
