"""Token batches and text lengths, the same in every run: seeded, and drawn with the standard library alone."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from pathlib import Path

import tensors

SEED = 1
BATCH = 32
"""Texts that run together in the mix of lengths; `lockstep bench --mixed` takes as many."""
TEXTS = 256
SHORTEST, LONGEST, MEAN = 8, 512, 60


@dataclass(frozen=True)
class TokenBatch:
    """Sequences of token ids, padded to the longest when they become tensors."""

    sequences: list[list[int]]

    @property
    def longest(self) -> int:
        """The tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)

    @property
    def is_full(self) -> bool:
        """Whether no sequence needs padding."""
        return all(len(sequence) == self.longest for sequence in self.sequences)

    def ids(self) -> list[list[int]]:
        """Rows of `longest` ids, 0 where a sequence has ended."""
        return [sequence + [0] * (self.longest - len(sequence)) for sequence in self.sequences]

    def mask(self) -> list[list[int]]:
        """Rows of ones for tokens and zeros for padding."""
        return [[1] * len(s) + [0] * (self.longest - len(s)) for s in self.sequences]

    def save(self, folder: Path) -> Path:
        """Writes the model's inputs as `lockstep run --inputs` reads them, and gives the folder."""
        folder.mkdir(parents=True)
        shape = (len(self.sequences), self.longest)

        def tensor(rows: list[list[int]]) -> tensors.Tensor:
            flat = [value for row in rows for value in row]
            return tensors.Tensor("I64", shape, struct.pack(f"<{len(flat)}q", *flat))

        ids = self.ids()
        types = [[0] * self.longest for _ in ids]
        named = {"input_ids": ids, "token_type_ids": types, "attention_mask": self.mask()}
        tensors.write(folder / "inputs.safetensors", {name: tensor(rows) for name, rows in named.items()})
        return folder


def batch(lengths: list[int], vocabulary: int, seed: int = SEED) -> TokenBatch:
    """Sequences of these lengths, of random tokens."""
    generator = random.Random(seed)
    return TokenBatch([[generator.randrange(vocabulary) for _ in range(length)] for length in lengths])


def skewed_lengths(texts: int = TEXTS, longest: int = LONGEST, seed: int = SEED) -> list[int]:
    """Most texts are short and a few long: exponential above 8 tokens, about 60 on average, none above `longest`."""
    generator = random.Random(seed)
    drawn = (SHORTEST + int(generator.expovariate(1 / (MEAN - SHORTEST))) for _ in range(texts))
    return [min(length, longest) for length in drawn]


def chunks(lengths: list[int], size: int = BATCH) -> list[list[int]]:
    """The lengths in batches, in their order."""
    return [lengths[at : at + size] for at in range(0, len(lengths), size)]
