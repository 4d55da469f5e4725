"""`carillon-await-schema SERVICE`: waits until the service's schema is as new as this image's code; then exits 0.

For init containers: the release's migration Job runs at the same time. CARILLON_DATABASE_URL is that of a role that
the service's processes log in as. There is no limit of time; Kubernetes shows what it waits for, in the log. Exits 2
where there is no such service.
"""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg

import services
from chassis import schema
from chassis.db import Database
from chassis.errors import CarillonError

PAUSE_SECONDS = 1.0


def main() -> int:
    service = sys.argv[1] if len(sys.argv) == 2 else ""
    versions = Path(next(iter(services.__path__))) / service / "migrations" / "versions"
    if not service.isidentifier() or not versions.is_dir():
        print(f"carillon-await-schema: there is no service {service!r}", file=sys.stderr)
        return 2
    asyncio.run(wait(os.environ["CARILLON_DATABASE_URL"], versions))
    return 0


async def wait(url: str, versions: Path) -> None:
    said = ""
    async with Database.opened(url, name="await-schema") as db:
        while problem := await look(db, versions):
            if problem != said:
                print(problem, file=sys.stderr, flush=True)
                said = problem
            await asyncio.sleep(PAUSE_SECONDS)


async def look(db: Database, versions: Path) -> str:
    """What is missing; empty when nothing is."""
    try:
        await schema.check(db, versions)
    except CarillonError as error:
        return error.detail
    except asyncpg.PostgresError as error:  # a role that is not made yet, a table it may not read yet
        return type(error).__name__
    return ""


if __name__ == "__main__":
    sys.exit(main())
