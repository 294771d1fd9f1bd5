"""Tables of ablations: cells, and figures that never mix settings."""

from collections.abc import Iterator, Mapping

from speechbrain_ext.services.described import TEMPLATES
from speechbrain_ext.services.identity import differences

STORED = "ablation_runs.json"
# prepared data lie elsewhere on each machine, and are not everyone's
DATA_ENDS = ("data", "_data", "_noise")


def cells(row: Mapping, table: Mapping) -> Iterator[str]:
    """Fill in the cells of a row of the table."""

    def show(name, digits=2):
        if name not in row["mean"]:
            return "-"
        text = f"{row['mean'][name]:.{digits}f}"
        if name in row["std"]:
            text += f" ± {row['std'][name]:.{digits}f}"
        return text

    for cell in table.values():
        yield TEMPLATES.from_string(cell).render(
            **row["factors"],
            labels=row["labels"],
            mean=row["mean"],
            std=row["std"],
            values=row["values"],
            seeds=len(row["values"]),
            show=show,
        )


def sort_key(value: object) -> tuple:
    """Sort numbers before texts, and nothing first."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    return (2, 0.0, str(value))


def without_data(identity: Mapping) -> dict:
    """Leave out the digests of the data."""
    return {
        key: value
        for key, value in identity.items()
        if not key.endswith(DATA_ENDS)
    }


def without(settings: object, names: set[str]) -> object:
    """Leave out some settings, at any depth."""
    if not isinstance(settings, Mapping):
        return settings
    return {
        key: without(value, names)
        for key, value in settings.items()
        if key not in names
    }


def merge(stored: Mapping, new: Mapping) -> dict:
    """Add new figures to stored ones; new ones of the same run prevail.

    Arguments
    ---------
    stored, new : Mapping
        As `Ablation.read_figures` gives them.

    Returns
    -------
    figures : dict

    Raises
    ------
    ValueError
        If the two were made with other settings.
    """
    merged = dict(stored)
    for corpus, found in new.items():
        before = merged.get(corpus, {**found, "runs": {}})
        differs = differences(found["settings"], before["settings"])
        if differs:
            raise ValueError(
                f"runs of {corpus!r} with another {', '.join(differs)} cannot "
                f"stand in one table ({', '.join(found['runs'])}); take "
                "another --output, or begin the stored table anew by deleting "
                f"reference/{STORED}"
            )
        merged[corpus] = {
            "settings": found["settings"],
            "runs": {**before["runs"], **found["runs"]},
        }
    return merged
