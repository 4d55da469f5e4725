"""The public face: REST in, gRPC out. Owns accounts and API keys."""
