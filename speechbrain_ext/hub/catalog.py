"""Models by name: those that come with the package, and published ones."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from speechbrain_ext.hub.folder import (
    CARD,
    HYPERPARAMS,
    REPOSITORY,
    find_folder,
)

PACKAGE = Path(__file__).parents[1]
# the recognizer of the extra asr, whose weights lie in a package of their own
WHISPER = "whisper_tiny_en"
# The model of a command that is given none. To add one that comes with the
# package, put its folder (hyperparams.yaml, README.md, weights) below it, name
# it in setup.cfg, and here.
DEFAULTS = {
    "enhancer": "speech_enhancer",
    "separator": "speech_separator",
    "transcriber": WHISPER,
}


@dataclass(frozen=True)
class Model:
    """What is known of a model that has a name here.

    Arguments
    ---------
    name : str
        What to give for it.
    source : str
        A folder, or a hub repository.
    does : str
        One sentence.
    sample_rate : int
        In Hz.
    size : int or None
        Bytes of its weights; None if they do not lie in this package.
    license : str
        Of the weights.
    trained_on : str
        From its card.
    extra : str or None
        The extra of this package that it comes with; None if it needs none.
    """

    name: str
    source: str
    does: str
    sample_rate: int
    size: int | None
    license: str
    trained_on: str
    extra: str | None = None


def _published(name: str, does: str, trained_on: str) -> Model:
    """Describe a model of SpeechBrain's on the hub."""
    return Model(
        name,
        f"speechbrain/{name}",
        does,
        sample_rate=8000,
        size=None,
        license="apache-2.0",
        trained_on=trained_on,
    )


TWO_VOICES = "Separates two voices"
# The layout of each is loaded by tests/unittests/hub.
PUBLISHED = (
    _published("sepformer-wsj02mix", f"{TWO_VOICES}.", "WSJ0-2Mix"),
    _published("sepformer-wham", f"{TWO_VOICES} from noise.", "WHAM!"),
    _published(
        "sepformer-whamr",
        f"{TWO_VOICES} from noise and reverberation.",
        "WHAMR!",
    ),
    _published("sepformer-libri2mix", f"{TWO_VOICES}.", "Libri2Mix"),
    _published("sepformer-libri3mix", "Separates three voices.", "Libri3Mix"),
    _published(
        "resepformer-wsj02mix", f"{TWO_VOICES}, at less cost.", "WSJ0-2Mix"
    ),
    _published(
        "REAL-M-sisnr-estimator",
        "Tells how good a separation of two voices is, without references.",
        "separations of LibriMix and WHAMR!",
    ),
)

RECOGNIZER = Model(
    WHISPER,
    WHISPER,
    "Writes down English speech: Whisper tiny.en, for `transcribe`.",
    sample_rate=16000,
    size=None,
    license="mit",
    trained_on="680,000 hours of transcribed speech, by OpenAI",
    extra="asr",
)


def find_models() -> dict[str, Model]:
    """Give all models that have a name.

    Returns
    -------
    models : dict
        Name to `Model`: those that come with the package first, as their own
        cards describe them.

    Example
    -------
    >>> find_models()["sisnr_estimator"].sample_rate
    8000
    """
    folders = sorted(path.parent for path in PACKAGE.rglob(HYPERPARAMS))
    found = [*map(describe, folders), RECOGNIZER, *PUBLISHED]
    return {model.name: model for model in found}


def describe(folder: Path) -> Model:
    """Read what a release folder says of itself.

    Arguments
    ---------
    folder : Path
        With hyperparams.yaml, README.md and weights.

    Returns
    -------
    model : Model
        Named as the folder.
    """
    _, front, body = (
        (folder / CARD).read_text(encoding="utf-8").split("---\n", 2)
    )
    # the sentence below the title, and the paragraph below the heading Data
    does = re.search(r"(?m)^# .+\n\n(.+?\.)(?=\s)", body)[1]
    trained_on = re.search(r"(?m)^## Data\n\n(.+)", body)[1]
    settings = (folder / HYPERPARAMS).read_text(encoding="utf-8")
    weights = list(folder.glob("*.safetensors"))
    return Model(
        folder.name,
        str(folder),
        does,
        sample_rate=int(re.search(r"(?m)^sample_rate: (\d+)", settings)[1]),
        size=sum(path.stat().st_size for path in weights),
        license=yaml.safe_load(front)["license"],
        trained_on=trained_on,
    )


def resolve(
    source: str | os.PathLike, revision: str | None = None
) -> tuple[str | os.PathLike, str | None]:
    """Tell where a model is, and which revision of it is meant.

    Arguments
    ---------
    source : str or PathLike
        A folder, a name of `find_models`, or a hub repository; of the last
        two also ``NAME@REVISION``. A folder of a name that is here is taken.
    revision : str, optional
        Branch, tag or commit.

    Returns
    -------
    source : str or PathLike
        A folder or a repository; what is neither stays as it is.
    revision : str or None

    Raises
    ------
    ValueError
        If there are two revisions, or one of a folder; or if it is no folder
        that a name stands for.

    Example
    -------
    >>> resolve("sepformer-whamr@main")
    ('speechbrain/sepformer-whamr', 'main')
    """
    text = os.fspath(source)
    if not isinstance(source, str) or os.path.exists(os.path.expanduser(text)):
        return source, revision
    name, mark, told = text.partition("@")
    model = find_models().get(name)
    if model is not None and model.extra is not None:
        raise ValueError(
            f"{name} comes with the extra {model.extra}, and only "
            "`speechbrain-ext transcribe` takes it"
        )
    if model is None and not REPOSITORY.fullmatch(name):
        return source, revision
    place = name if model is None else model.source
    if mark and find_folder(place):
        raise ValueError(
            f"{name} is a folder here, which has no revisions; leave "
            "@REVISION out, or run this from elsewhere"
        )
    if mark and (not told or revision not in (None, told)):
        raise ValueError(
            f"{text}: give one revision, as {name}@REVISION"
            + (f"; {revision} is another" if told else "")
        )
    return place, told or revision
