"""Safetensors files, read and written with the standard library alone.

Lockstep and PyTorch must read the very same weights, and the machine with the GPU may lack the safetensors package. The
format is a length, a JSON header and the bytes.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file holds it: little-endian, row-major."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def row(self, index: int) -> bytes:
        """The bytes of one entry along the first axis."""
        size = len(self.data) // self.shape[0]
        return self.data[index * size : (index + 1) * size]


def read(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, by name.

    Raises:
        ValueError: the file is no safetensors file, or is cut short; says which tensor.
    """
    raw = path.read_bytes()
    if len(raw) < 8:
        raise ValueError(f"{path}: {len(raw)} bytes are no safetensors file")
    (length,) = struct.unpack("<Q", raw[:8])
    body = 8 + length
    if body > len(raw):
        raise ValueError(f"{path}: a header of {length} bytes in a file of {len(raw)}; is it cut short?")
    header = json.loads(raw[8:body])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        data = raw[body + first : body + last]
        count = 1
        for extent in entry["shape"]:
            count *= extent
        if len(data) != count * SIZES[entry["dtype"]]:
            raise ValueError(f"{path}: {name} has {len(data)} bytes for {entry['dtype']} {entry['shape']}")
        tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]), data)
    return tensors


def write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes a file of these tensors."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        end = at + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(tensor.data for tensor in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
