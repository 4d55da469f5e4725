"""Python's collector of circles of references, in processes whose many short-lived objects have none.

Reference counting frees these by itself; looking for circles among them, and among all that was imported, was a tenth
of the time of an import and of a sending worker.
"""

import gc


def keep() -> None:
    """What is there by now stays: not to be looked through each time that circles are looked for."""
    gc.collect()
    gc.freeze()


def spare(young: int = 50_000, middle: int = 50, old: int = 50) -> None:
    """`keep`, and look at the rest that seldom: thresholds as gc.set_threshold has them."""
    keep()
    gc.set_threshold(young, middle, old)
