"""The arithmetic of figures: a benchmark that reports a wrong percentile is worse than none."""

import asyncio

import pytest

from tests.bench.measure import closed_loop, percentile


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.0) == 1.0
    assert percentile(values, 0.5) == 51.0
    assert percentile(values, 0.99) == 100.0
    assert percentile(values, 1.0) == 100.0
    assert percentile([7.0], 0.99) == 7.0


def test_the_order_of_measuring_does_not_matter() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


async def test_every_call_of_every_client_is_counted() -> None:
    calls: list[int] = []

    async def call(client: int) -> None:
        calls.append(client)
        await asyncio.sleep(0)

    load = await closed_loop(call, clients=3, seconds=0.01)
    assert set(calls) == {0, 1, 2}
    assert len(load.latencies) == len(calls)
    assert load.per_second == len(calls) / load.seconds


async def test_a_call_that_fails_fails_the_run() -> None:
    async def call(_: int) -> None:
        raise RuntimeError("refused")

    with pytest.raises(ExceptionGroup):
        await closed_loop(call, clients=2, seconds=1.0)
