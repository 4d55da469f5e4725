"""`python -m deploy.local up|down|reset|status|env|account NAME`; the Makefile's commands."""

import argparse
import sys
import time

from deploy.local import demo_account, home, processes, stack, state
from deploy.local.demo_account import AccountFailed
from deploy.local.home import Home
from deploy.local.migrate import MigrationFailed
from deploy.local.stack import NotUp


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the stack and wait until it is ready")
    up.add_argument("--only", default=",".join(processes.ALL), help="a few processes by name, comma separated")
    for name, does in [
        ("down", "stop it, keep the data"),
        ("reset", "stop it, drop the data"),
        ("status", "what runs"),
        ("env", "print the env file"),
    ]:
        commands.add_parser(name, help=does)
    commands.add_parser("account", help="make an account, print its key").add_argument("name")
    arguments = parser.parse_args()
    try:
        run(home.find(), arguments)
    except (NotUp, AccountFailed, MigrationFailed, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(where: Home, arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up":
            began = time.monotonic()
            stack.up(where, only=arguments.only.split(","))
            print_places(where, time.monotonic() - began)
        case "down":
            stack.down(where)
            print(f"Stopped; the data stays in {where.folder}")
        case "reset":
            stack.reset(where)
            print(f"Stopped; {where.folder} is gone")
        case "status":
            for name, pid, condition, restarts in stack.status(where):
                print(f"{name:15} {pid:>8}  {condition}" + (f"  (restarted {restarts}x)" if restarts > "0" else ""))
        case "env":
            print(where.env.read_text(), end="")
        case "account":
            if "postgres" not in stack.running(where):
                raise NotUp("the stack is not running; `make up` starts it")
            print(demo_account.create_account(where, state.load(where), arguments.name))


def print_places(where: Home, seconds: float) -> None:
    known = state.load(where)
    print(f"Carillon is up ({seconds:.1f} s).")
    print(f"  REST API   {processes.gateway_url(known)}/v1   (docs: {processes.gateway_url(known)}/docs)")
    print(f"  carrier    {processes.carrier_url(known)}/control   (what it accepted: {where.carrier}/accepted.jsonl)")
    print(f"  settings   . {where.env}   (URLs, the demo account's key)")
    print(f"  logs       {where.folder}/logs")


if __name__ == "__main__":
    sys.exit(main())
