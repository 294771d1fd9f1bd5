"""The page of `separate` and `enhance`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_ext.console import printable
from speechbrain_ext.hub.redaction import leads_out
from speechbrain_ext.inference import Separator
from speechbrain_ext.inference.batch import Item
from speechbrain_ext.inference.recordings import duration
from speechbrain_ext.services.recordings_page import RecordingsPage


def write_page(
    work, model: Separator, items: Sequence[Item], done: Mapping[Item, list]
) -> None:
    """Write the page of what a model made of files.

    Arguments
    ---------
    work : speechbrain_ext.commands.recordings.Work
        Of the command.
    model : Separator
        What was used.
    items : sequence of Item
        All that was to be read.
    done : Mapping
        What was done, and the files that became of it.
    """
    options = work.options
    page = RecordingsPage(
        work.page, of_voices=model.count_sources() == 2, device=options.device
    )
    names = {
        item.path: (item.folder / item.path.name).relative_to(options.out)
        for item in items
    }
    with work.bar(item.path for item in done) as progress:
        for item, outputs in done.items():
            with work.failures.item(item.path):
                page.add(str(names[item.path]), item.path, outputs)
            progress(duration(item.path))
    failures = []
    for row in work.failures.rows:
        path = Path(row["item"])
        named = printable(path, 4000), str(names.get(path, path.name))
        failures.append(row["reason"].replace(*named))
    name = model.name
    if os.path.isabs(name):
        # of a folder that lies elsewhere its own name is told
        inner = os.path.relpath(name)
        name = os.path.basename(name) if leads_out(inner) else inner
    with work.table(page.path) as partial:
        page.write(
            title=f"{options.command.capitalize()}d recordings",
            notes=[f"Model: {name}"],
            words=options.words,
            failures=failures,
            path=partial,
        )
    work.say(page.path)
