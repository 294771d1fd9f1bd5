"""Model cards: what a model is, for people and for the hub's search."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from speechbrain_ext.hub.redaction import redact, redact_option

SECTIONS = "name summary data command usage limits license citation"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a model.

    Arguments
    ---------
    name : str
        What was measured, `SI-SDR improvement`.
    value : float
        The figure.
    dataset : str
        On what, with the name people know it by.
    unit : str
        `dB`, empty for a ratio.
    split : str
        Part of the dataset.
    type : str
        The hub's name of the metric; made from `name` by default.

    Example
    -------
    >>> metric = Metric(name="SI-SNR", value=4.59, dataset="mini", unit="dB")
    >>> metric.result().metric_type
    'si-snr'
    """

    name: str
    value: float
    dataset: str
    unit: str = ""
    split: str = "test"
    type: str = ""

    def result(self, task: str = "audio-to-audio") -> EvalResult:
        """Give the figure as the hub's metadata has it."""
        return EvalResult(
            task_type=task,
            dataset_type=identifier(self.dataset),
            dataset_name=self.dataset,
            dataset_split=self.split,
            metric_type=self.type or identifier(self.name),
            metric_name=self.name + f" ({self.unit})" * bool(self.unit),
            metric_value=self.value,
        )


@dataclass(frozen=True, kw_only=True)
class Card:
    """All that a model card says.

    Its texts are kept as `redact` gives them, so that no secret and no place
    of this machine gets into the card.

    Arguments
    ---------
    name : str
        Of the model.
    summary : str
        What it is and does, in a few sentences.
    data : str
        What it was trained on.
    command : str
        The command that trains it.
    usage : str
        Python that uses it.
    limits : str
        What it cannot do, or was not tested for.
    license : str
        Identifier of the hub, `apache-2.0`.
    license_text : str
        A sentence on the license of weights and data.
    citation : str
        BibTeX, or who to name.
    metrics : sequence of Metric
        Its figures.
    tags : sequence of str
        For the hub's search.
    pipeline_tag : str
        The hub's name of the task.

    Example
    -------
    >>> card = Card(
    ...     name="Ring SepFormer",
    ...     summary="Separates two voices.",
    ...     data="The corpus mini.",
    ...     command="python train.py hparams/ring_sepformer.yaml",
    ...     usage="load_folder('me/ring')",
    ...     limits="Synthetic voices only.",
    ...     license="apache-2.0",
    ...     citation="None.",
    ...     metrics=[Metric(name="SI-SDRi", value=4.59, dataset="mini")],
    ... )
    >>> "| mini | test | SI-SDRi | 4.59 |" in card.text()
    True
    """

    name: str
    summary: str
    data: str
    command: str
    usage: str
    limits: str
    license: str
    citation: str
    license_text: str = ""
    metrics: Sequence[Metric] = ()
    tags: Sequence[str] = ("audio-source-separation", "speech", "pytorch")
    pipeline_tag: str = "audio-to-audio"

    def __post_init__(self):
        # the one place through which all texts of a card pass
        for name, value in vars(self).items():
            one_line = name in ("name", "license", "pipeline_tag")
            object.__setattr__(self, name, redacted(value, one_line))

    def metadata(self) -> ModelCardData:
        """Give what the hub reads."""
        results = [x.result(self.pipeline_tag) for x in self.metrics]
        return ModelCardData(
            license=self.license,
            library_name="speechbrain",
            tags=["speechbrain", *self.tags],
            metrics=sorted({x.metric_type for x in results}) or None,
            pipeline_tag=self.pipeline_tag,
            model_name=self.name,
            eval_results=results or None,
        )

    def text(self) -> str:
        """Write the card.

        Returns
        -------
        text : str
            Content of README.md: metadata, then sections for people.

        Raises
        ------
        ValueError
            If a section is empty; a card that says nothing helps no one.
        """
        for section in SECTIONS.split():
            if not getattr(self, section).strip():
                raise ValueError(
                    f"the model card has no {section}; write a sentence"
                )
        body = {
            "Figures": metrics_table(self.metrics),
            "Data": self.data,
            "How it was trained": fenced(self.command),
            "How to use it": fenced(self.usage, "python"),
            "Limits": self.limits,
            "License": self.license_text or f"{self.license}.",
            "Citation": fenced(self.citation, "bibtex"),
        }
        parts = [
            f"---\n{self.metadata()}\n---",
            f"# {self.name}",
            self.summary.strip(),
            *(f"## {title}\n\n{text.strip()}" for title, text in body.items()),
        ]
        return "\n\n".join(parts) + "\n"


def redacted(value: object, one_line: bool = True) -> object:
    """Redact a text, or all texts of a sequence or of a metric."""
    if isinstance(value, str):
        return " ".join(redact(value).split()) if one_line else redact(value)
    if isinstance(value, Metric):
        return Metric(**{name: redacted(v) for name, v in vars(value).items()})
    return [*map(redacted, value)] if isinstance(value, Sequence) else value


def metrics_table(metrics: Sequence[Metric]) -> str:
    r"""Write figures as a table.

    Arguments
    ---------
    metrics : sequence of Metric
        In the order of the rows.

    Returns
    -------
    table : str
        Markdown.

    Example
    -------
    >>> print(metrics_table([Metric(name="A|B", value=1.0, dataset="mini")]))
    | dataset | split | metric | value |
    | --- | --- | --- | --- |
    | mini | test | A\|B | 1 |
    """
    if not metrics:
        return "None were measured."
    rows = [("dataset", "split", "metric", "value"), ("---",) * 4]
    for m in metrics:
        row = (m.dataset, m.split, m.name, f"{m.value:g} {m.unit}".strip())
        rows.append([re.sub(r"([\\|])", r"\\\1", text) for text in row])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def identifier(text: str) -> str:
    """Write a name as the hub's identifiers are: small letters and hyphens."""
    kept = "".join(c if c.isalnum() else " " for c in text.lower())
    return "-".join(kept.split())


def fenced(text: str, language: str = "") -> str:
    """Set text as a block of code, in longer fences than it holds itself."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def training_command(
    arguments: Sequence[str], *, root: str | Path, script: str = "train.py"
) -> str:
    """Write the command that repeats a training, for others to read.

    Arguments
    ---------
    arguments : sequence of str
        The hyperparameter file and options.
    root : str or Path
        Of the repository, where the command is typed.
    script : str
        What is run, from there.

    Returns
    -------
    command : str
        Folders of this machine are DIR, and secrets `***`.

    Example
    -------
    >>> training_command(["my.yaml", "--data_folder=/data/a"], root=".")
    'python train.py my.yaml --data_folder=DIR'
    """
    file, *options = arguments
    path, root = Path(file).resolve(), Path(root).resolve()
    file = path.name
    if path.is_relative_to(root):
        file = path.relative_to(root).as_posix()
    words = map(redact_option, options, [file, *options])
    return shlex.join(["python", script, file, *words])


def publish_command(folder: str | Path) -> str:
    """Write the command that publishes a results folder.

    Arguments
    ---------
    folder : str or Path
        Holds a release.

    Returns
    -------
    command : str

    Example
    -------
    >>> publish_command("results/mine/1")
    'speechbrain-ext publish results/mine/1 --repo USER/NAME'
    """
    words = ["speechbrain-ext", "publish", str(folder)]
    return shlex.join([*words, "--repo", "USER/NAME"])
