"""A checkpointer that neither leaves nor loads half a checkpoint."""

import hashlib
import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from speechbrain.utils.checkpoints import (
    CKPT_PREFIX,
    METAFNAME,
    Checkpointer,
)
from speechbrain.utils.distributed import ddp_barrier, if_main_process

PENDING = METAFNAME + ".pending"
CHECKSUMS = "checksums.txt"

logger = logging.getLogger(__name__)


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, safe against a kill in the middle.

    SpeechBrain takes a folder for a checkpoint as soon as its metafile is
    there, and writes that file first: a run that is killed while it saves
    would be resumed from parameters that are not all there.  Here the
    metafile gets its name last, when all processes have written their parts.
    What a kill leaves is no checkpoint, and is removed by the next save.

    A checkpoint that was damaged later (a disk that was full or failed, a copy
    that ended early) no longer matches the checksums that were saved with it.
    Its folder is renamed, and the one before it is recovered instead.

    Arguments
    ---------
    checkpoints_dir, recoverables, ...
        As for `speechbrain.utils.checkpoints.Checkpointer`.

    Example
    -------
    >>> import torch
    >>> layer = torch.nn.Linear(1, 1)
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = AtomicCheckpointer(folder, {"layer": layer})
    >>> saved = checkpointer.save_checkpoint()
    >>> checkpointer.recover_if_possible().path == saved.path
    True
    """

    def save_checkpoint(self, *arguments, **keywords):
        """Save; see `Checkpointer.save_checkpoint`.

        Returns
        -------
        checkpoint : Checkpoint or None
            None on all but the main process.

        Raises
        ------
        OSError
            If it cannot be written, as on a full disk; nothing is left of it.
        """
        self._remove_pending()
        try:
            checkpoint = super().save_checkpoint(*arguments, **keywords)
            ddp_barrier()
            if checkpoint is not None:
                pending = checkpoint.path / PENDING
                _write_checksums(checkpoint.path)
                os.replace(pending, checkpoint.path / METAFNAME)
        except (OSError, RuntimeError) as error:
            # torch.save raises RuntimeErrors where the disk is full
            self._remove_pending()
            free = shutil.disk_usage(self.checkpoints_dir).free
            raise OSError(
                f"{self.checkpoints_dir}: a checkpoint could not be written "
                f"({getattr(error, 'strerror', None) or error}). "
                f"{free / 1e6:.0f} MB are free there. Free some space, and run "
                "the same command again: it resumes from the last checkpoint"
            ) from error
        ddp_barrier()
        return checkpoint

    def recover_if_possible(self, *arguments, **keywords):
        """Recover a checkpoint; see `Checkpointer.recover_if_possible`.

        Returns
        -------
        checkpoint : Checkpoint or None
            The best one that is whole; None if there are no checkpoints.

        Raises
        ------
        ValueError
            If there are checkpoints, but all of them are damaged.
        """
        if if_main_process():
            self._set_damaged_aside(*arguments, **keywords)
        ddp_barrier()
        return super().recover_if_possible(*arguments, **keywords)

    def _set_damaged_aside(self, *arguments, **keywords):
        """Rename damaged checkpoints, until the one to recover is whole."""
        folder = Path(self.checkpoints_dir)
        # a metafile that cannot be read would be in the way of all others
        for path in sorted(folder.glob(f"{CKPT_PREFIX}*/{METAFNAME}")):
            damage = find_damage(path.parent, names=[METAFNAME])
            if damage:
                _set_aside(path.parent, damage)
        while found := self.find_checkpoint(*arguments, **keywords):
            damage = find_damage(found.path)
            if not damage:
                return
            _set_aside(found.path, damage)
        # also those of an earlier attempt: a run never begins anew unasked
        if damaged := sorted(folder.glob(f"damaged_{CKPT_PREFIX}*")):
            raise ValueError(
                f"{folder}: no checkpoint is left that is whole; "
                f"{', '.join(path.name for path in damaged)} cannot be used. "
                "Copy a whole one there, or choose another output_folder to "
                "begin anew"
            )

    def _remove_pending(self):
        if if_main_process():
            for pending in Path(self.checkpoints_dir).glob(
                f"{CKPT_PREFIX}*/{PENDING}"
            ):
                shutil.rmtree(pending.parent)

    def _save_checkpoint_metafile(self, fpath, *arguments, **keywords):
        pending = fpath.with_name(PENDING)
        return super()._save_checkpoint_metafile(
            pending, *arguments, **keywords
        )


def find_damage(
    folder: Path, names: Collection[str] | None = None
) -> str | None:
    """Compare the files of a checkpoint with their checksums.

    Arguments
    ---------
    folder : Path
        The checkpoint.
    names : collection of str, optional
        Files to compare; by default all that it had.

    Returns
    -------
    damage : str or None
        What is wrong with the first file that differs. None if none does, or
        if the checkpoint has no checksums, as one of SpeechBrain's own.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"{CHECKSUMS} cannot be read ({error})"
    digests = {line[66:]: line[:64] for line in lines}
    if METAFNAME not in digests:
        return f"{CHECKSUMS} is not as it was saved"
    for name in digests if names is None else names:
        try:
            found = _digest(folder / name)
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        if found != digests[name]:
            return f"{name} is not as it was saved"
    return None


def _set_aside(folder, damage):
    """Rename a damaged checkpoint, and say so."""
    aside = folder.with_name(f"damaged_{folder.name}")
    os.rename(folder, aside)
    logger.warning(
        "%s: %s. This checkpoint is damaged, and the one before it is taken "
        "instead. It is kept as %s.",
        folder,
        damage,
        aside.name,
    )


def _write_checksums(folder):
    """Write the checksums of a checkpoint whose metafile is pending.

    That of the metafile comes last, so that it tells whether all are there.
    """
    paths = [path for path in folder.iterdir() if path.is_file()]
    paths.sort(key=lambda path: (path.name == PENDING, path.name))
    lines = [
        f"{_digest(path)}  {path.name.replace(PENDING, METAFNAME)}\n"
        for path in paths
    ]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
