"""`make demo`: the main job from nothing, checked against the carrier simulator's own log."""
