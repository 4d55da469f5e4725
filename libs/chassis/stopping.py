"""How long a process takes over its stop, in seconds; runner.py has the order. The defaults are a laptop's."""

import os

# It goes on serving for so long, until balancers and clients have seen that it is about to stop.
DRAIN_SECONDS = float(os.environ.get("CARILLON_DRAIN_SECONDS", "0"))
# What was begun by then may take so long to its end, a call to a provider as an answer to a client; what takes longer
# is broken off. Longer than provider_timeout_seconds.
GRACE_SECONDS = float(os.environ.get("CARILLON_GRACE_SECONDS", "12"))
