"""What every process of Carillon is built on; it knows no service.

gRPC's fork handlers are off, which is decided when gRPC is loaded. We fork only to start another program (uvloop does,
for the child that reads workbooks), and gRPC, waking its threads in that child, has been seen to crash it.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
