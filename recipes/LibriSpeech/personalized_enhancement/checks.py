"""What can be told of a user's recordings before the training.

Silent and unreadable files are found when the corpus is prepared.  That
there is speech at all is told by the predictor: where hardly any frame is
predicted to hold more speech than noise, there is none.  (A crowd passes for
speech, and noise unlike any that the predictor has heard may; so a share that
is low for speech is told.)  Whether there is a second voice cannot be told: to
the predictor it is speech like the first.
"""

import logging

import torch
from data import is_personal, recordings_of_user

from speechbrain_ext.dataio.segments import read_whole

logger = logging.getLogger(__name__)

# Share of the frames that must be predicted above 0 dB.
LEAST_SHARE = 0.1
DOUBTFUL_SHARE = 0.3
LEAST_SECONDS = 60
# what is looked at: so many recordings, so much of each
RECORDINGS = 30
SECONDS = 20


def check_user(hparams, predictor):
    """Look at a user's recordings; refuse them if there is no speech.

    Arguments
    ---------
    hparams : dict
        Of the hyperparameter file; data are prepared.
    predictor : torch.nn.Module or None
        Of frame SNRs; without one only the amount is looked at.

    Raises
    ------
    ValueError
        If hardly a frame holds speech.
    """
    if not is_personal(hparams):
        return
    recordings, _ = recordings_of_user(hparams, "user_train")
    seconds = sum(recording.seconds for recording in recordings)
    if seconds < LEAST_SECONDS:
        logger.warning(
            "There are %.0f s of recordings to train on; a few minutes are "
            "needed to learn a voice.",
            seconds,
        )
    if predictor is None or not hparams["check_recordings"]:
        logger.warning(
            "Whether there is speech in the recordings was not looked at: "
            "that needs a predictor, and check_recordings."
        )
        return
    share = share_with_speech(recordings, predictor)
    if share < LEAST_SHARE:
        raise ValueError(
            f"the recordings of the user seem to hold no speech: in "
            f"{100 * share:.1f} % of their frames the predictor finds more "
            f"speech than noise, and at least {100 * LEAST_SHARE:.0f} % are "
            "wanted. Listen to them; if there is speech all the same, set "
            "check_recordings to false"
        )
    logger.info(
        "In %.0f %% of the frames of the recordings the predictor finds more "
        "speech than noise. Whether it is one voice cannot be told: keep "
        "recordings of others out.",
        100 * share,
    )
    if share < DOUBTFUL_SHARE:
        logger.warning(
            "That is little: there may be no speech in some of the "
            "recordings, or more noise than speech. Listen to them."
        )


@torch.no_grad()
def share_with_speech(recordings, predictor):
    """Find the share of frames that are predicted above 0 dB.

    Arguments
    ---------
    recordings : list of Recording
        Of one user.
    predictor : torch.nn.Module
        Of frame SNRs.

    Returns
    -------
    share : float
    """
    above = frames = 0
    for recording in recordings[:RECORDINGS]:
        samples = read_whole(recording)[: SECONDS * recording.sample_rate]
        levels = predictor(torch.from_numpy(samples)[None])
        above += int((levels > 0).sum())
        frames += levels.numel()
    return above / frames
