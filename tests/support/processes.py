"""Processes that begin with all imports made, which take several seconds."""

import functools
import multiprocessing
import os
import sys
from multiprocessing import forkserver

import pytest
from checkout import ROOT

PRELOADED = (
    *("speechbrain_ext.services.launcher", "speechbrain_ext.corpora.folder"),
    *("speechbrain_ext.inference", "speechbrain_ext.training"),
    # the first optimizer and the first log of a process import these
    *("torch._dynamo", "torch.utils.tensorboard"),
)


@functools.cache
def context():
    """Start the process that imports everything; others are forked from it.

    Unlike this process it has no threads, which a fork could wait for.
    """
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(PRELOADED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        forkserver.ensure_running()
    return found


class Script:
    """A script that runs, as `python -c CODE WORDS` does; like a `Popen`."""

    def __init__(self, code, *words):
        ends = [multiprocessing.Pipe(duplex=False) for _ in range(3)]
        (stdin, mine), *others = ends
        theirs = [stdin, *(write for _, write in others)]
        self.process = context().Process(
            target=run, args=(code, list(map(str, words)), *theirs)
        )
        self.process.start()
        self.stdin = open(os.dup(mine.fileno()), "w")
        self.stdout, self.stderr = (
            open(os.dup(read.fileno())) for read, _ in others
        )
        for end in (mine, *theirs, *(read for read, _ in others)):
            end.close()

    def communicate(self):
        """Close its input, wait, and return what it has printed."""
        self.stdin.close()
        printed = self.stdout.read(), self.stderr.read()
        self.process.join(120)
        self.returncode = self.process.exitcode
        return printed


def run(code, words, *pipes):
    """Be the process of a script."""
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))
    sys.argv = ["-c", *words]
    exec(compile(code, "<script>", "exec"), {"__name__": "__main__"})
