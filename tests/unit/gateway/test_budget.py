"""Budgets: how much is granted over time, however it is asked for."""

import random

import pytest

from chassis import ids
from chassis.errors import ResourceExhausted, Unavailable
from chassis.ids import AccountId
from services.gateway import limits
from services.gateway.auth import Principal
from services.gateway.domain import budget
from services.gateway.domain.budget import Grant
from services.gateway.limits import RateLimiter

RATE = 100


def test_a_second_s_budget_may_be_spent_at_once_and_then_comes_evenly() -> None:
    got = budget.grant(budget.fresh(10.0), now=10.0, per_second=RATE, wanted=250)
    assert (got.granted, got.left) == (100, 0)
    refused = budget.grant(got.budget, now=10.9, per_second=RATE, wanted=1)
    assert (refused.granted, round(refused.wait, 3)) == (0, 0.11)
    later = budget.grant(got.budget, now=11.4, per_second=RATE, wanted=80)
    assert later.granted == 40


def test_whoever_rested_has_a_whole_second_again_and_no_more() -> None:
    spent = budget.grant(budget.fresh(0.0), now=0.0, per_second=RATE, wanted=100).budget
    assert budget.grant(spent, now=3600.0, per_second=RATE, wanted=1000).granted == 100


@pytest.mark.parametrize("seed", range(5))
def test_whoever_tries_hard_gets_the_rate_over_any_longer_time(seed: int) -> None:
    """Two replicas that ask all the time, at random moments, for blocks of random sizes."""
    rng, now, known, total = random.Random(seed), 0.0, budget.fresh(0.0), 0
    while now < 10.0:
        got = budget.grant(known, now=now, per_second=RATE, wanted=rng.randint(1, 10))
        known, total = got.budget, total + got.granted
        now += rng.expovariate(200)
    assert 0.98 * RATE * 10 <= total <= RATE * 10 + 1


class Shared:
    """A budget that several limiters take of, with a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.budget = budget.fresh(0.0)
        self.asked = 0
        self.reachable = True

    async def take(self, _: Principal, per_second: int, wanted: int) -> Grant:
        self.asked += 1
        if not self.reachable:
            raise Unavailable("unavailable", "no database")
        got = budget.grant(self.budget, now=self.now, per_second=per_second, wanted=wanted)
        self.budget = got.budget
        return got

    def limiter(self) -> RateLimiter:
        return RateLimiter(self.take, per_second=RATE, clock=lambda: self.now)


KEY = Principal(AccountId(ids.new()), "key_a", frozenset())


async def passes(limiter: RateLimiter, principal: Principal = KEY) -> bool:
    try:
        await limiter.spend(principal)
    except ResourceExhausted:
        return False
    return True


async def test_replicas_share_one_budget() -> None:
    shared = Shared()
    replicas = [shared.limiter() for _ in range(3)]
    allowed = 0
    for step in range(3000):
        shared.now = step / 1000
        allowed += await passes(replicas[step % 3])
    assert 0.9 * 300 <= allowed <= 300
    assert shared.asked < 3000 / 3, "a limiter asks for blocks and rests where there are none"


async def test_what_is_left_of_a_block_is_void_after_a_second() -> None:
    shared = Shared()
    limiter = shared.limiter()
    # Of blocks of ten.
    quick = Principal(KEY.account, "key_c", frozenset(), rate_limit=1000)
    for _ in range(2):
        assert await passes(limiter, quick)
    assert shared.asked == 1
    shared.now = 1.5
    assert await passes(limiter, quick)
    assert shared.asked == 2


async def test_a_key_may_have_a_rate_of_its_own_and_keys_do_not_share() -> None:
    shared = Shared()
    limiter = shared.limiter()
    slow = Principal(KEY.account, "key_b", frozenset(), rate_limit=1)
    assert await passes(limiter, slow)
    assert not await passes(limiter, slow)
    assert limiter.standing(slow).headers() == [
        (b"ratelimit-policy", b'"default";q=1;w=1'),
        (b"ratelimit", b'"default";r=0;t=1'),
    ]


async def test_without_the_database_each_replica_limits_by_itself() -> None:
    shared = Shared()
    shared.reachable = False
    limiter = shared.limiter()
    assert [await passes(limiter) for _ in range(RATE)] == [True] * RATE
    assert not await passes(limiter)


@pytest.mark.parametrize(
    ("rate", "seen", "seconds", "expected"),
    [(1, 1, 60.0, 1), (2000, 1, 60.0, 20), (2000, 1000, 1.0, 100), (2000, 5000, 0.1, 200), (50, 500, 1.0, 5)],
)
def test_a_block_is_for_what_a_tenth_of_a_second_will_use(rate: int, seen: int, seconds: float, expected: int) -> None:
    assert limits.block(rate, seen=seen, seconds=seconds) == expected
