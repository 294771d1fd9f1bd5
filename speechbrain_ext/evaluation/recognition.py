"""Word error rate of separated speech.

Source: Subakan et al., "REAL-M: Towards speech separation on real mixtures",
ICASSP 2022, section 4, which recognizes the separated speech of real
mixtures.  It needs the extra asr.
"""

import importlib.util

import numpy as np
from scipy.optimize import linear_sum_assignment

from speechbrain_ext.dataio.transcripts import normalize_text


def word_errors(references, hypotheses):
    """Count the words that were substituted, left out or put in.

    Arguments
    ---------
    references : sequence of str
        Transcripts; compared after `normalize_text`.
    hypotheses : sequence of str
        What was recognized, in the same order.

    Returns
    -------
    result : dict
        "errors"; "words" of the references; "rate", errors over words,
        which may be above 1.

    Raises
    ------
    ModuleNotFoundError
        The extra asr is not installed.
    ValueError
        The numbers of texts differ, or the references have no word.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("jiwer")
    >>> word_errors(["one two three", "four"], ["one too", "four"])
    {'errors': 2, 'words': 4, 'rate': 0.5}
    """
    references, hypotheses = _texts(references, hypotheses)
    errors = sum(map(_errors, references, hypotheses))
    words = sum(len(reference.split()) for reference in references)
    return {"errors": errors, "words": words, "rate": errors / words}


def permutation_word_errors(references, hypotheses):
    """Count word errors of one mixture whose transcripts have no order.

    The outputs are assigned to the transcripts so that the errors are
    fewest.  For the rate of a whole corpus, add up errors and words over its
    mixtures before dividing.

    Arguments
    ---------
    references : sequence of str
        The transcript of each talker; compared after `normalize_text`.
    hypotheses : sequence of str
        What was recognized in each output, as many, in any order.

    Returns
    -------
    result : dict
        As of `word_errors`, and "permutation": `hypotheses[permutation[s]]`
        belongs to `references[s]`.

    Raises
    ------
    ModuleNotFoundError
        The extra asr is not installed.
    ValueError
        The numbers of texts differ, or the references have no word.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("jiwer")
    >>> result = permutation_word_errors(["a b", "c d"], ["c d", "a x"])
    >>> result["permutation"], result["errors"], result["rate"]
    ([1, 0], 1, 0.25)
    """
    references, hypotheses = _texts(references, hypotheses)
    errors = np.array([[_errors(r, h) for h in hypotheses] for r in references])
    rows, permutation = linear_sum_assignment(errors)
    fewest = int(errors[rows, permutation].sum())
    words = sum(len(reference.split()) for reference in references)
    return {
        "errors": fewest,
        "words": words,
        "rate": fewest / words,
        "permutation": permutation.tolist(),
    }


def _texts(references, hypotheses):
    """Return both lists of texts normalized, after checking them."""
    if importlib.util.find_spec("jiwer") is None:
        raise ModuleNotFoundError(
            'word errors need jiwer: pip install -e ".[asr]"'
        )
    for name, texts in (("references", references), ("hypotheses", hypotheses)):
        if isinstance(texts, str):
            raise ValueError(f"{name} {texts!r}: give a list of texts")
    if len(references) != len(hypotheses):
        raise ValueError(
            f"{len(references)} references but {len(hypotheses)} hypotheses"
        )
    references = [normalize_text(text) for text in references]
    if not any(references):
        raise ValueError("the references have no word: there is no rate")
    return references, [normalize_text(text) for text in hypotheses]


def _errors(reference, hypothesis):
    """Count the word errors of one normalized text."""
    from jiwer import process_words

    output = process_words(reference, hypothesis)
    return output.substitutions + output.deletions + output.insertions
