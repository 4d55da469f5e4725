"""What gauges tell of builds and contacts that nobody comes to."""

from chassis.watch import Watch
from services.segments.looks import LOOKS
from tests.service.stack import measured


def oldest(what: str) -> float:
    return measured("carillon_segments_oldest_seconds", what=what)


async def test_a_build_and_a_contact_that_wait_are_told_of(work_db, api, clock) -> None:
    looking = Watch(work_db, LOOKS)
    await looking.look()
    assert [oldest(what) for what in ("building", "announcing", "due")] == [0, 0, 0]
    await api.create()
    async with work_db.across() as tx:
        await tx.execute("UPDATE builds SET created_at = now() - interval '1 h' WHERE account_id = $1", api.account)
        late = "(extract(epoch FROM now()) - 60) * 1e6"
        await tx.execute(f"INSERT INTO due VALUES ($1, gen_random_uuid(), {late})", api.account)
    await looking.look()
    assert measured("carillon_segments_builds", state="building") == 1
    assert 3600 <= oldest("building") < 4200
    assert 60 <= oldest("due") < 600
    await clock.build()
    async with work_db.across() as tx:
        await tx.execute(
            "UPDATE due SET due_at = (extract(epoch FROM now()) + 60) * 1e6 WHERE account_id = $1", api.account
        )
    await looking.look()
    assert measured("carillon_segments_builds", state="building") == 0
    assert [oldest("building"), oldest("due")] == [0, 0]
