"""`python -m deploy.dashboards [--check]`: write the dashboards into the chart.

--check writes nothing, names what differs, and exits 1 where something does.
"""

import sys

from deploy.dashboards.written import FOLDER, differences, write


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = differences()
        for name in found:
            print(f"{FOLDER / name} is not what deploy/dashboards makes: run `python -m deploy.dashboards`")
        return 1 if found else 0
    write()
    return 0


sys.exit(main(sys.argv[1:]))
