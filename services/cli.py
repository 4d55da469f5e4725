"""The one command: `carillon SERVICE serve|work|migrate`, `carillon accounts …`."""

from importlib import import_module

import typer

COMMANDS = {
    "contacts": "services.contacts.__main__",
    "segments": "services.segments.__main__",
    "campaigns": "services.campaigns.__main__",
    "gateway": "services.gateway.__main__",
    "accounts": "services.gateway.accounts_cli",
}


def main() -> None:
    """Loads only the service that is asked for: each process pays for its own imports alone."""
    import sys

    app = typer.Typer(no_args_is_help=True, help="Contacts, segments and campaigns for messaging businesses.")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    for name in [asked] if asked in COMMANDS else COMMANDS:
        app.add_typer(import_module(COMMANDS[name]).cli, name=name)
    app()


if __name__ == "__main__":
    main()
