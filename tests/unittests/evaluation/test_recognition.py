import importlib.util

import pytest

from speechbrain_ext.evaluation import (
    normalize_text,
    permutation_word_errors,
    recognition,
    word_errors,
)

needs_jiwer = pytest.mark.skipif(
    not importlib.util.find_spec("jiwer"), reason="needs the extra asr"
)


# Texts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("  HELLO,\tworld!\n", "hello world"),
        ("Mrs. Dr mr", "missus doctor mister"),
        ("Mister", "mister"),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s 'quoted' dogs' o'er", None),
        ("well-known_thing", "well known thing"),
        ("E\N{COMBINING ACUTE ACCENT} 3.5", "\xe9 3 5"),
        (" ... ", ""),
    ],
)
def test_words_of_a_text(text, words):
    words = "it's quoted dogs o'er" if words is None else words
    assert normalize_text(text) == words
    assert normalize_text(words) == words


@needs_jiwer
def test_errors_of_each_kind_are_counted_over_all_texts():
    result = word_errors(
        ["one two three", "four five", "six"],
        # left out, substituted and put in, nothing at all
        ["One, three.", "for five five", ""],
    )
    assert result == {"errors": 1 + 2 + 1, "words": 6, "rate": 4 / 6}
    assert word_errors(["a", ""], ["b c", "d"])["rate"] == 3.0
    assert word_errors(["a b"], ["A, B!"])["errors"] == 0


@needs_jiwer
@pytest.mark.parametrize("errors", [word_errors, permutation_word_errors])
def test_wrong_texts_are_named(errors):
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        errors(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="references have no word"):
        errors(["...", ""], ["a", "b"])
    with pytest.raises(ValueError, match="hypotheses 'a b': give a list"):
        errors(["a", "b", "c"], "a b")


@needs_jiwer
def test_a_planted_permutation_is_found():
    references = ["one two three", "four five six", "seven eight nine"]
    planted = [2, 0, 1]
    hypotheses = [""] * 3
    for source, output in enumerate(planted):
        hypotheses[output] = references[source]
    result = permutation_word_errors(references, hypotheses)
    assert result == {
        **{"errors": 0, "words": 9, "rate": 0.0},
        "permutation": planted,
    }


@needs_jiwer
def test_the_assignment_is_best_as_a_whole():
    # errors [[1, 2], [2, 5]]: the closest pair first would make 6
    references = ["a b c d e f", "x b c u v f"]
    hypotheses = ["x b c d e f", "a y z d e f"]
    result = permutation_word_errors(references, hypotheses)
    assert result["errors"] == 4 and result["permutation"] == [1, 0]


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"need jiwer: .*\[asr\]"):
        recognition.word_errors(["a"], ["a"])
    assert normalize_text("A") == "a"
