"""The one command: `carillon SERVICE serve|work|migrate`, `carillon accounts …`, `carillon events …`."""

from importlib import import_module

import typer

SERVICES = ("contacts", "segments", "campaigns", "gateway")
# Command → module with its `cli`.
MODULES = {name: f"services.{name}.__main__" for name in SERVICES} | {
    "accounts": "services.gateway.accounts_cli",
    "events": "services.gateway.events_cli",
}


def main() -> None:
    """Loads only what is asked for: each process pays for its own imports alone."""
    import sys

    app = typer.Typer(no_args_is_help=True, help="Contacts, segments and campaigns for messaging businesses.")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    for name in [asked] if asked in MODULES else MODULES:
        app.add_typer(import_module(MODULES[name]).cli, name=name)
    app()


if __name__ == "__main__":
    main()
