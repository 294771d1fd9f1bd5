"""Characters as the tokens of a recognizer."""

from collections.abc import Iterable, Sequence

import torch

ENGLISH = " abcdefghijklmnopqrstuvwxyz'"


class CharacterTable:
    """Text to numbers and back; 0 is the blank of CTC.

    Arguments
    ---------
    alphabet : str
        Every character that a text may have, the space among them.

    Raises
    ------
    ValueError
        If a character stands twice, or there is none.

    Example
    -------
    >>> table = CharacterTable("abc ")
    >>> table.encode("a cab")
    [1, 4, 3, 1, 2]
    >>> table.decode([1, 1, 0, 1, 4, 4, 0, 4, 3])
    'aa  c'
    >>> table.unknown("a dabble")
    ['d', 'e', 'l']
    """

    blank = 0

    def __init__(self, alphabet: str = ENGLISH) -> None:
        twice = sorted({c for c in alphabet if alphabet.count(c) > 1})
        if twice or not alphabet:
            raise ValueError(
                f"alphabet is {alphabet!r}; every character must stand in it "
                f"once, and there must be one (twice: {twice or 'none'})"
            )
        self.alphabet = alphabet
        self.numbers = {c: n for n, c in enumerate(alphabet, start=1)}

    def __len__(self) -> int:
        """Count the tokens, the blank among them."""
        return len(self.alphabet) + 1

    def unknown(self, text: str) -> list[str]:
        """List the characters of a text that are not in the alphabet."""
        return sorted(set(text) - self.numbers.keys())

    def encode(self, text: str) -> list[int]:
        """Turn a text into numbers.

        Arguments
        ---------
        text : str
            Of characters of the alphabet.

        Returns
        -------
        numbers : list of int
            From 1 on.

        Raises
        ------
        ValueError
            If it has others.
        """
        unknown = self.unknown(text)
        if unknown:
            raise ValueError(
                f"{text!r} has the characters {unknown}, which are not in the "
                f"alphabet {self.alphabet!r}"
            )
        return [self.numbers[character] for character in text]

    def decode(self, path: Iterable[int]) -> str:
        """Turn the best path of CTC into a text.

        Arguments
        ---------
        path : iterable of int
            The most probable token of every frame. What repeats is one
            token; blanks are left out.

        Returns
        -------
        text : str
        """
        text, before = [], self.blank
        for number in path:
            if number not in (before, self.blank):
                text.append(self.alphabet[number - 1])
            before = number
        return "".join(text)

    def decode_batch(
        self, log_probabilities: torch.Tensor, lengths: torch.Tensor
    ) -> list[str]:
        """Turn the outputs of a recognizer into texts, greedily.

        Arguments
        ---------
        log_probabilities : torch.Tensor
            Shape (batch, frames, tokens).
        lengths : torch.Tensor
            Shape (batch,), relative to the longest.

        Returns
        -------
        texts : list of str
            With a space between words.

        Example
        -------
        >>> outputs = torch.eye(3)[[2, 1, 0, 1, 1, 2]]
        >>> CharacterTable("b ").decode_batch(outputs[None], torch.ones(1))
        ['bb']
        """
        best = log_probabilities.argmax(-1).tolist()
        ends = (lengths * log_probabilities.shape[1]).round().int().tolist()
        return [
            " ".join(self.decode(path[:end]).split())
            for path, end in zip(best, ends, strict=True)
        ]

    def encode_batch(
        self, texts: Sequence[str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn texts into numbers, as targets of CTC.

        Arguments
        ---------
        texts : sequence of str
            Of characters of the alphabet.

        Returns
        -------
        numbers : torch.Tensor
            Shape (batch, characters), the blank behind the end of each.
        lengths : torch.Tensor
            Shape (batch,), relative to the longest.

        Example
        -------
        >>> CharacterTable("ab").encode_batch(["ab", "b"])
        (tensor([[1, 2],
                [2, 0]]), tensor([1.0000, 0.5000]))
        """
        numbers = [torch.tensor(self.encode(text)) for text in texts]
        padded = torch.nn.utils.rnn.pad_sequence(
            numbers, batch_first=True, padding_value=self.blank
        )
        ends = [len(one) / padded.shape[1] for one in numbers]
        return padded, torch.tensor(ends)
