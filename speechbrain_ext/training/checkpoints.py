"""A checkpointer that never leaves half a checkpoint behind."""

import os
import shutil
from pathlib import Path

from speechbrain.utils.checkpoints import (
    CKPT_PREFIX,
    METAFNAME,
    Checkpointer,
)
from speechbrain.utils.distributed import ddp_barrier, if_main_process

PENDING = METAFNAME + ".pending"


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, safe against a kill in the middle.

    SpeechBrain takes a folder for a checkpoint as soon as its metafile is
    there, and writes that file first: a run that is killed while it saves
    would be resumed from parameters that are not all there.  Here the
    metafile gets its name last, when all processes have written their parts.
    What a kill leaves is no checkpoint, and is removed by the next save.

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
        if checkpoint is not None:
            os.replace(checkpoint.path / PENDING, checkpoint.path / METAFNAME)
        ddp_barrier()
        return checkpoint

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
