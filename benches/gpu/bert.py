"""BERT for sequence classification in plain PyTorch modules, named as Hugging Face names them.

Written here since the machine with the GPU may lack transformers; dropout is left out, as it is in inference. The modules
load the very file that Lockstep maps. Attention is either PyTorch's fused one or the products and softmax one by one.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import tensors

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Attention(nn.Module):
    """Self-attention with a residual: `query`, `key` and `value` are three products, as in Hugging Face's model."""

    def __init__(self, config: dict, fused: bool) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        self.heads, self.fused = config["num_attention_heads"], fused
        self.self = nn.ModuleDict({name: nn.Linear(hidden, hidden) for name in ("query", "key", "value")})
        norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.output = nn.ModuleDict({"dense": nn.Linear(hidden, hidden), "LayerNorm": norm})

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """`x`: [batch, seq, hidden]; `mask`: bool [batch, 1, 1, seq], true for tokens, or None where all are."""
        batch, seq, hidden = x.shape

        def split(name: str) -> torch.Tensor:
            return self.self[name](x).view(batch, seq, self.heads, -1).transpose(1, 2)

        query, key, value = split("query"), split("key"), split("value")
        if self.fused:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            scores = query @ key.transpose(-1, -2) * (hidden // self.heads) ** -0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            mixed = scores.softmax(-1) @ value
        mixed = mixed.transpose(1, 2).reshape(batch, seq, hidden)
        return self.output["LayerNorm"](self.output["dense"](mixed) + x)


class Layer(nn.Module):
    """Attention, then two products with the erf form of GELU between them."""

    def __init__(self, config: dict, fused: bool) -> None:
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = Attention(config, fused)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, inner)})
        norm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.output = nn.ModuleDict({"dense": nn.Linear(inner, hidden), "LayerNorm": norm})

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """`x`: [batch, seq, hidden]."""
        x = self.attention(x, mask)
        inner = functional.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](self.output["dense"](inner) + x)


class Classifier(nn.Module):
    """Embeddings, layers, the pooler's tanh on the first token, and a class for each of `num_labels`."""

    def __init__(self, config: dict, fused: bool) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        tables = {
            "word_embeddings": config["vocab_size"],
            "position_embeddings": config["max_position_embeddings"],
            "token_type_embeddings": config["type_vocab_size"],
        }
        embeddings = nn.ModuleDict({name: nn.Embedding(rows, hidden) for name, rows in tables.items()})
        embeddings["LayerNorm"] = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        layers = nn.ModuleList(Layer(config, fused) for _ in range(config["num_hidden_layers"]))
        self.bert = nn.ModuleDict(
            {
                "embeddings": embeddings,
                "encoder": nn.ModuleDict({"layer": layers}),
                "pooler": nn.ModuleDict({"dense": nn.Linear(hidden, hidden)}),
            }
        )
        self.classifier = nn.Linear(hidden, len(config["id2label"]))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`ids`: int64 [batch, seq]; `mask`: bool [batch, seq] or None. Gives logits, [batch, labels]."""
        tables = self.bert["embeddings"]
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = tables["word_embeddings"](ids) + tables["token_type_embeddings"](torch.zeros_like(ids))
        x = tables["LayerNorm"](x + tables["position_embeddings"](positions))
        spread = None if mask is None else mask[:, None, None, :]
        for layer in self.bert["encoder"]["layer"]:
            x = layer(x, spread)
        return self.classifier(torch.tanh(self.bert["pooler"]["dense"](x[:, 0])))


def load(folder: Path, dtype: torch.dtype, device: str, fused: bool) -> Classifier:
    """The folder's model, all of it in `dtype`.

    Raises:
        ValueError: the weights are not those that the config asks for; names the first that is missing or left over.
    """
    config = json.loads((folder / "config.json").read_text())
    path = folder / "model.safetensors"
    state = {}
    for name, tensor in tensors.read(path).items():
        flat = torch.frombuffer(bytearray(tensor.data), dtype=DTYPES[tensor.dtype])
        state[name] = flat.reshape(tensor.shape)
    model = Classifier(config, fused)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error
    return model.to(dtype=dtype, device=device).eval()
