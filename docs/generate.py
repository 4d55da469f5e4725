"""Write the pages that are made from the code: `python docs/generate.py [--check]`.

--check writes nothing and exits 1 when a page differs.
"""

import re
import sys
from pathlib import Path

from docs import events_page
from services.gateway.problem import STATUS, FieldCode, title

ROOT = Path(__file__).resolve().parents[1]
ERRORS = ROOT / "docs" / "errors.md"
EVENTS = ROOT / "docs" / "events.md"

HEAD = """\
# Errors

Every refusal is an `application/problem+json` document (RFC 9457) with `type`, `title`, `status`, `detail`, `instance`,
`code` and `request_id`, and, where fields are at fault, `errors`: a list of `{"pointer", "code", "detail"}` with a JSON
pointer into the request. `code` is one of this closed list; `detail` is for people and may change. Other members are
named below as metadata.

Made from `proto/carillon/errors/v1/errors.proto` and the gateway's table by `python docs/generate.py`.
"""


def errors_page() -> str:
    """The reasons in the order and groups of the proto."""
    source = (ROOT / "proto/carillon/errors/v1/errors.proto").read_text()
    lines, comment = [HEAD], []
    for raw in source[source.index("enum Reason") :].splitlines()[1:]:
        line = raw.strip()
        if line.startswith("// --- "):
            lines.append(f"\n## {line.removeprefix('// --- ').capitalize()}\n")
            lines += ["| code | HTTP | meaning |", "|---|---|---|"]
        elif line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
        elif match := re.match(r"REASON_(\w+) = \d+;", line):
            if match[1] != "UNSPECIFIED":
                code = match[1].lower()
                lines.append(f"| `{code}` | {STATUS[code]} | {' '.join(comment)} |")
            comment = []
    lines.append(
        "\n## In `errors`\n\nThe first 100 faults are named. Besides the codes above, a field can be refused as:\n"
    )
    lines += [f"- `{code.value}`: {title(code.value).lower()}" for code in FieldCode]
    return "\n".join(lines) + "\n"


def main() -> int:
    pages = {ERRORS: errors_page(), EVENTS: events_page.page()}
    if "--check" in sys.argv:
        differing = [path for path, page in pages.items() if not path.exists() or path.read_text() != page]
        for path in differing:
            print(f"docs/{path.name} differs from the code; run `python docs/generate.py`")
        return 1 if differing else 0
    for path, page in pages.items():
        path.write_text(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
