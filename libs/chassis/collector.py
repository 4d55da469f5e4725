"""Python's collector of circles of references, in processes whose many short-lived objects have none.

Reference counting frees these by itself; looking for circles among them, and among all that was imported, was a tenth
of the time of an import, of a sending worker and of a call of the REST API.
"""

import gc

Thresholds = tuple[int, int, int]
# Of workers that are through with a batch before there are so many objects.
BATCHES = (50_000, 50, 50)
# Of whatever process does not say otherwise.
USUAL = (5_000, 20, 50)


def spare(thresholds: Thresholds) -> None:
    """Leave alone what there is by now, and look at the rest that seldom: thresholds as gc.set_threshold has them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
