"""Asking a process whether it is ready."""

import json
import urllib.error
import urllib.request

from deploy.local import postgres
from deploy.local.processes import Spec

# A proxy that the shell is set up for is not asked about this machine's own ports.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PROBE_SECONDS = 3.0


def problem(spec: Spec) -> str | None:
    """Why the process is not ready, in words for a person; None when it is."""
    if spec.ready.startswith("postgresql://"):
        return None if postgres.is_ready(spec.ready) else "does not take connections"
    try:
        with DIRECT.open(spec.ready, timeout=PROBE_SECONDS):
            return None if spec.answers is None or does_answer(spec.answers) else "does not answer in public"
    except urllib.error.HTTPError as error:
        return f"answers {error.code}: {reasons(error.read())}"
    except OSError:
        return "does not answer"


def does_answer(url: str) -> bool:
    try:
        DIRECT.open(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def reasons(body: bytes) -> str:
    try:
        problems = json.loads(body).get("problems", {})
        return ", ".join(f"{name} ({why})" for name, why in problems.items()) or "no reason given"
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:200]
