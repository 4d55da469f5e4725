"""What every process of Carillon is built on; it knows no service.

What follows is decided when gRPC is loaded. Its fork handlers are off: we fork only to start another program (uvloop
does, for the child that reads workbooks), and gRPC, waking its threads in that child, has been seen to crash it.
Connections are served by the thread that waits for their answers instead of a pool of four, of which each call would
wake three or four (ADR 0027).
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault(
    "GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener,-event_engine_for_all_other_endpoints"
)
