"""Arguments: HOST:PORT, whose every address is asked whether it is ready, and URLs that have to answer 200."""

import json
import socket
import sys
import urllib.error
import urllib.request

SECONDS = 10


def main() -> int:
    host, _, port = sys.argv[1].rpartition(":")
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    addresses = sorted({str(address[0]) for *_, address in found})
    failures = [ask(f"http://{f'[{one}]' if ':' in one else one}:{port}/readyz") for one in addresses]
    failures += [ask(url) for url in sys.argv[2:]]
    return 1 if any(failures) else 0


def ask(url: str) -> bool:
    """Whether it failed; says so on standard output."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            said = "ok"
    except urllib.error.HTTPError as error:
        said = f"{error.code} {json.dumps(error.read().decode(errors='replace')[:500])}"
    except OSError as error:
        said = str(error)
    print(f"{url}: {said}", flush=True)
    return said != "ok"


if __name__ == "__main__":
    sys.exit(main())
