"""What to call the images of a run: by name, which two images of several submits may share."""

from collections import Counter
from collections.abc import Iterable

from surveyfit.run.directory import Receipt


def image_labels(measured: Iterable[Receipt]) -> dict[str, str]:
    """Call each image by its name, or by its key where another image of the run has that name.

    Parameters
    ----------
    measured : iterable of Receipt
        Of the noise of each image.

    Returns
    -------
    dict of str to str
        The label of each image, by its key; no two are the same.
    """
    names = {receipt["image"]: receipt["result"]["image"]["name"] for receipt in measured}
    times = Counter(names.values())
    return {key: name if times[name] == 1 else key for key, name in names.items()}
