"""A rollout of every component under load: no client may notice. See ../README.md."""
