"""A listening test: which mixtures, and the page that takes the scores.

Source: Subakan et al., "REAL-M: Towards speech separation on real mixtures",
ICASSP 2022, section 4: five listeners rate the separation of 50 mixtures,
drawn uniformly over the predicted SI-SNR, from 1 to 5.
"""

import csv
import hashlib
import math
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_ext.dataio.manifest import quote_cell
from speechbrain_ext.evaluation.pages import write_page
from speechbrain_ext.evaluation.sounds import named_signals, write_sounds
from speechbrain_ext.files import replaced

#: What is asked for each mixture.
QUESTION = "How well are the talkers separated?"
#: Name of the file of the predictions, beside the page.
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True)
class ListeningItem:
    """One mixture to rate.

    Arguments
    ---------
    name : str
        Its name in the tables; listeners see a number only.
    mixture : torch.Tensor
        Shape (time,).
    estimates : torch.Tensor
        Shape (sources, time).
    sample_rate : int
        Hz.
    predicted : float
        What the estimator says, such as the mean over the sources, in dB.
    """

    name: str
    mixture: torch.Tensor
    estimates: torch.Tensor
    sample_rate: int
    predicted: float


def choose_uniformly(values, count, *, low=None, high=None, seed=0):
    """Draw items so that their values spread uniformly over a range.

    The range is split into `count` bins of one width and an item is drawn at
    random from each.  An empty bin takes the item that is left over and
    nearest to its center, the lowest bin first.

    Arguments
    ---------
    values : sequence of float
        Predicted value of each item; what is not finite is never drawn.
    count : int
        How many to draw.
    low : float or None
        Lower end of the range; items below are not drawn.  None: the lowest
        value.
    high : float or None
        Upper end; None: the highest value.
    seed : int
        The same seed draws the same items.

    Returns
    -------
    chosen : list of int
        Indices into `values`, no two alike, in the order of the bins.

    Raises
    ------
    ValueError
        `count` is below 1, or fewer finite values lie in the range.

    Example
    -------
    >>> values = [0.1, 0.2, 0.3, 9.8, 9.9, float("nan")]
    >>> sorted(choose_uniformly(values, 5))
    [0, 1, 2, 3, 4]
    >>> [values[i] > 5 for i in choose_uniformly(values, 2)]
    [False, True]
    """
    values = [float(value) for value in values]
    if count < 1:
        raise ValueError(f"count {count} must be at least 1")
    finite = [value for value in values if math.isfinite(value)]
    low = min(finite, default=0.0) if low is None else low
    high = max(finite, default=0.0) if high is None else high
    left = [i for i, v in enumerate(values) if low <= v <= high]
    if len(left) < count:
        raise ValueError(
            f"{count} items are wanted but {len(left)} of {len(values)} have "
            f"a finite value from {low} to {high}: draw fewer, or widen the "
            "range"
        )
    random.Random(seed).shuffle(left)
    width = (high - low) / count
    chosen = [None] * count
    for index in list(left):
        place = int((values[index] - low) / width) if width else 0
        place = min(place, count - 1)
        if chosen[place] is None:
            chosen[place] = index
            left.remove(index)
    for place in range(count):
        if chosen[place] is None:
            center = low + (place + 0.5) * width
            chosen[place] = min(left, key=lambda i: abs(values[i] - center))
            left.remove(chosen[place])
    return chosen


def write_listening_page(
    folder, *, title, items, notes=(), question=QUESTION, seed=0
):
    """Write a page on which listeners rate the separation of mixtures.

    The page plays each mixture and its separated sources and takes a score
    from 1 (bad) to 5 (excellent), by click or key.  It needs nothing but the
    folder: it opens from disk, with a small script of its own, in light and
    dark, on a screen and on a phone.  It keeps answers in the browser and
    saves them as a CSV with the columns listener, item and score, which
    `compare_with_listeners` reads.

    Nothing on the page, nor the order of its items or sounds, tells a
    prediction; those are in predictions.csv.  Leave that file out of what
    you give to listeners.

    The sounds keep their levels, lowered together where one would clip.  A
    separator trained with a scale-invariant loss has no level of its own:
    bring its estimates to that of the mixture first, see
    `match_mixture_level`.

    Arguments
    ---------
    folder : str or Path
        Made if absent.  Written: index.html, ``sounds/NN/*.wav`` and
        predictions.csv.
    title : str
        Heading of the page.
    items : sequence of ListeningItem
        What is rated.
    notes : sequence of str
        Paragraphs below the heading: what listeners should know.
    question : str
        Above each scale.
    seed : int
        Of the order of the items, the same for all listeners.

    Returns
    -------
    path : Path
        Of index.html.

    Raises
    ------
    ValueError
        There are no items, two have one name, a name is empty or not
        printable, a prediction is not finite, or the signals of an item do
        not belong together.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> item = ListeningItem(
    ...     "a", torch.zeros(80), torch.zeros(2, 80), 8000, predicted=3.0
    ... )
    >>> write_listening_page(folder, title="Test", items=[item]).name
    'index.html'
    >>> sorted(path.name for path in folder.glob("sounds/*/*.wav"))
    ['mixture.wav', 'source_1.wav', 'source_2.wav']
    """
    folder = Path(folder)
    _check(items)
    shuffled = random.Random(seed).sample(list(items), len(items))
    # answers kept in a browser belong to these items and sounds only
    digest = hashlib.sha256()
    shown = []
    for number, item in enumerate(shuffled, start=1):
        signals = named_signals(
            f"item {item.name!r}", mixture=item.mixture, source=item.estimates
        )
        place = folder / "sounds" / f"{number:02d}"
        paths, lowered_db = write_sounds(
            place, signals=signals, sample_rate=item.sample_rate
        )
        digest.update(item.name.encode())
        for path in paths.values():
            digest.update(path.read_bytes())
        players = {
            name.replace("_", " ").capitalize(): path.relative_to(
                folder
            ).as_posix()
            for name, path in paths.items()
        }
        shown.append(
            {"name": item.name, "players": players, "lowered_db": lowered_db}
        )
    with (
        replaced(folder / PREDICTIONS) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["item", "predicted"])
        writer.writerows(
            (quote_cell(item.name), float(item.predicted)) for item in items
        )
    path = folder / "index.html"
    write_page(
        path,
        "listening.html",
        title=title,
        notes=notes,
        test=digest.hexdigest()[:16],
        items=shown,
        question=question,
    )
    return path


def _check(items):
    """Raise unless the items can be told apart and have a prediction."""
    if not items:
        raise ValueError("there are no items to rate")
    seen = set()
    for item in items:
        if not item.name.strip() or not item.name.isprintable():
            raise ValueError(
                f"item {item.name!r}: a name needs a visible character and "
                "none that breaks a line"
            )
        if item.name in seen:
            raise ValueError(f"two items have the name {item.name!r}")
        seen.add(item.name)
        if not math.isfinite(item.predicted):
            raise ValueError(
                f"item {item.name!r}: its prediction {item.predicted} is not "
                "finite"
            )
