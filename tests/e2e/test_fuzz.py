"""schemathesis over the committed OpenAPI with all its checks: bounded here, without a bound by `make fuzz`."""

import asyncio

from tests import fuzz
from tests.e2e.client import Api

# Examples of an operation and phase, and a bound for a machine that does other things too.
EXAMPLES = "1"
MOST_SECONDS = "30"


async def test_what_the_document_says_is_what_is_answered(api: Api, other: Api) -> None:
    bounds = ("--max-examples", EXAMPLES, "--max-time", MOST_SECONDS, "--generation-deterministic", "--no-shrink")
    done = await asyncio.to_thread(fuzz.run, api.url, api.key, other.key, *bounds, capture=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
