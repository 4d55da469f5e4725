"""What is printed last: the figures, whether they hold, and how to do it all by hand."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from deploy.local.demo.following import Freshness
from deploy.local.demo.verdict import Check

CARRIER = "the file's generator and the carrier's own log"
STATS = ("total", "sent", "delivered", "failed", "pending", "skipped", "uncertain")
# With the env file sourced; README.md explains each.
SEGMENT = '{"name": "Premium Customers", "conditions": [{"field": "tags", "operator": "contains", "value": "premium"}]}'
TEMPLATE = '{"name": "Offer", "body": "Hi {{ first_name | default: \\"there\\" }}, {{ code }} is yours."}'
CAMPAIGN = '{"name": "Premium Offer", "template_id": "tmpl_…", "segment_id": "seg_…"}'


def by_hand(console: Console, *, env: str, csv: str) -> None:
    lines = [
        f". {env}",
        'H="Authorization: Bearer $CARILLON_API_KEY"; J="Content-Type: application/json"',
        f'curl -H "$H" -F "file=@{csv}" $CARILLON_URL/v1/contacts/import',
        f"""curl -H "$H" -H "$J" $CARILLON_URL/v1/segments -d '{SEGMENT}'""",
        f"""curl -H "$H" -H "$J" $CARILLON_URL/v1/templates -d '{TEMPLATE}'""",
        f"""curl -H "$H" -H "$J" $CARILLON_URL/v1/campaigns -d '{CAMPAIGN}'""",
        'curl -H "$H" -X POST $CARILLON_URL/v1/campaigns/cmp_…/start',
        'curl -H "$H" $CARILLON_URL/v1/campaigns/cmp_…',
    ]
    console.print("\n[bold]By hand[/] (each call prints the ids for the next)\n")
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def stats(console: Console, figures: Mapping[str, int]) -> None:
    table = Table(title="Campaign “Premium Offer”", title_justify="left")
    for name in STATS:
        table.add_column(name, justify="right")
    table.add_row(*(f"{figures[name]:,}" for name in STATS))
    console.print(table)


def freshness(console: Console, measured: Freshness) -> None:
    table = Table(title="From a tag's change to the segment's, the API call included", title_justify="left")
    for name in ("", "times", "p50", "p99", "slowest"):
        table.add_column(name, justify="right")
    for name, seconds in (("tag → member", measured.joined), ("untag → not a member", measured.left)):
        ranked = sorted(seconds)
        at = [ranked[len(ranked) // 2], ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))], ranked[-1]]
        table.add_row(name, str(len(ranked)), *(f"{value * 1000:.0f} ms" for value in at))
    console.print(table)


def checks(console: Console, made: list[Check], *, against: str = CARRIER) -> bool:
    """Prints every check; whether all hold."""
    table = Table(title=f"Checked against {against}", title_justify="left")
    for name in ("", "claim", "found"):
        table.add_column(name)
    for check in made:
        table.add_row("[green]ok[/]" if check.holds else "[red]NO[/]", check.claim, check.found)
    console.print(table)
    return all(check.holds for check in made)
