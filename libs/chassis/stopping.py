"""How long a process takes over its stop, in seconds; runner.py has the order. The defaults are a laptop's."""

import os

# It goes on serving for so long, until balancers and clients have seen that it is about to stop.
DRAIN_SECONDS = float(os.environ.get("CARILLON_DRAIN_SECONDS", "0"))
# What was begun by then may take so long to its end; what takes longer is broken off.
GRACE_SECONDS = float(os.environ.get("CARILLON_GRACE_SECONDS", "10"))
