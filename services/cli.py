"""The one command: `carillon SERVICE serve|work|migrate`."""

from importlib import import_module

import typer

SERVICES = ("contacts", "segments", "campaigns", "gateway")


def main() -> None:
    """Loads only the service that is asked for: each process pays for its own imports alone."""
    import sys

    app = typer.Typer(no_args_is_help=True, help="Contacts, segments and campaigns for messaging businesses.")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    for name in [asked] if asked in SERVICES else SERVICES:
        app.add_typer(import_module(f"services.{name}.__main__").cli, name=name)
    app()


if __name__ == "__main__":
    main()
