"""Is what a process holds flat over time?

The first third of the samples is warm-up. In the rest, memory and queues may not grow by more than the bounds, as the
straight line through the samples has it; and the lowest number of threads and of open files in the last third may be no
more than a little above that in the second: requests in flight only ever add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.census import State

#: The most that may be added, MB and blocks of memory; over ten minutes or less.
MOST_MEMORY = 4.0
MOST_BLOCKS = 3_000
MOST_THREADS = MOST_DESCRIPTORS = 2
#: The samples meet outages at different moments.
MOST_QUEUED = 100
#: The setting `profile_max_parallel`.
SLOTS = 5
#: Fewer samples say nothing.
LEAST = 9

COLUMNS = (
    f"{'server':18}{'seconds':>8}{'MB':>8}{'blocks':>9}{'threads':>8}{'files':>6}{'slots':>6}{'queued':>7}{'lost':>5}"
)


def row(name: str, seconds: float, state: State) -> str:
    """A line of the table."""
    return (
        f"{name:18}{seconds:8.0f}{state.memory:8.1f}{state.blocks:9d}{state.threads:8d}{state.descriptors:6d}"
        f"{state.slots:6d}{state.queued:7d}{state.lost:5d}"
    )


def growth(values: Sequence[float]) -> float:
    """From the first to the last one, by the straight line that fits best."""
    count = len(values)
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = sum((index - middle) ** 2 for index in range(count))
    return sum((index - middle) * (value - mean) for index, value in enumerate(values)) / spread * (count - 1)


def faults(samples: Sequence[State]) -> list[str]:
    """What is not flat in samples taken at equal distances."""
    if len(samples) < LEAST:
        return [f"{len(samples)} samples are too few"]
    third = len(samples) // 3
    second, last = samples[third:-third], samples[-third:]
    later = (*second, *last)
    grown: list[tuple[str, float, float]] = [
        ("MB of memory", growth([one.memory for one in later]), MOST_MEMORY),
        ("blocks of memory", growth([one.blocks for one in later]), MOST_BLOCKS),
        ("queued", growth([one.queued for one in later]), MOST_QUEUED),
        ("threads", _lowest(last, lambda one: one.threads) - _lowest(second, lambda one: one.threads), MOST_THREADS),
        (
            "open files",
            _lowest(last, lambda one: one.descriptors) - _lowest(second, lambda one: one.descriptors),
            MOST_DESCRIPTORS,
        ),
    ]
    found = [f"{value:+.1f} {what}, at most {most:g} are allowed" for what, value, most in grown if value > most]
    taken = max(one.slots for one in samples)
    return [*found, f"{taken} slots were taken"] if taken > SLOTS else found


def _lowest(samples: Sequence[State], of: Callable[[State], int]) -> int:
    return min(map(of, samples))
