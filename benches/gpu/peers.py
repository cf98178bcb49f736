"""PyTorch's ways to run the model, each timed as Lockstep is: from token ids on the host to logits on the host.

Every peer has the same weights and pinned inputs. Where all sequences are full, peers get no mask, which lets SDPA choose its
fastest kernel. TF32 and reduced-precision sums are off, as they are in Lockstep.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from inputs import TokenBatch

NAMES = ("eager", "sdpa", "cuda-graph", "compile-reduce-overhead", "compile-max-autotune")
"""Slowest to prepare last, so that a time limit costs the least."""
MOST_SHAPES = 64
DTYPES = ("f16", "bf16", "f32")

Once = Callable[[], "float | None"]


class NotHere(Exception):
    """A peer that this machine cannot run, with the reason."""


def torch_device(is_rehearsal: bool, device: str) -> str:
    """Where PyTorch runs beside Lockstep's `device`.

    Raises:
        NotHere: torch is missing, or sees no GPU where one is to be measured.
    """
    try:
        import torch
    except ImportError as error:
        raise NotHere(f"torch missing: {error}") from error
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    if is_rehearsal:
        return "cpu"
    if not torch.cuda.is_available():
        raise NotHere(f"torch {torch.__version__} sees no GPU")
    # The number says which GPU, whatever the backend is called.
    place = f"cuda:{device.partition(':')[2] or 0}"
    torch.cuda.set_device(place)
    return place


def dtype_of(name: str) -> torch.dtype:
    """PyTorch's dtype for Lockstep's name of it."""
    import torch

    return {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[name]


class Peer:
    """One way to run the model, on one device in one dtype; made ready for one batch after another."""

    def __init__(self, name: str, folder: Path, dtype: str, device: str) -> None:
        """Loads the model.

        Raises:
            NotHere: the way needs a GPU and `device` is none.
        """
        import torch

        import bert

        self.is_gpu = device.startswith("cuda")
        if name == "cuda-graph" and not self.is_gpu:
            raise NotHere("a CUDA graph needs a GPU")
        self.name, self.device = name, device
        self.model: Callable = bert.load(folder, dtype_of(dtype), device, fused=name != "eager")
        if name.startswith("compile-"):
            # A program for each shape, none for shapes that change; as many as there are shapes.
            torch._dynamo.reset()
            # The name that torch 2.6 gave it, and the one before.
            config = torch._dynamo.config
            limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
            setattr(config, limit, MOST_SHAPES)
            self.model = torch.compile(self.model, mode=name.removeprefix("compile-"), dynamic=False)

    def ready(self, batch: TokenBatch) -> Once:
        """A function that runs the batch once, end to end, and gives its time on the GPU in milliseconds."""
        import torch

        host = [torch.tensor(batch.ids())]
        if not batch.is_full:
            host.append(torch.tensor(batch.mask(), dtype=torch.bool))
        if self.is_gpu:
            host = [tensor.pin_memory() for tensor in host]
        placed = [tensor.to(self.device) for tensor in host]
        forward = self._forward(placed)

        def once() -> float | None:
            with torch.inference_mode():
                for there, here in zip(placed, host):
                    there.copy_(here, non_blocking=True)
                if not self.is_gpu:
                    forward().cpu()
                    return None
                first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                first.record()
                logits = forward()
                last.record()
                # Waits for the copy, and so for all before it.
                logits.cpu()
                return first.elapsed_time(last)

        return once

    def _forward(self, placed: list[torch.Tensor]) -> Callable[[], torch.Tensor]:
        import torch

        if self.name != "cuda-graph":
            return lambda: self.model(*placed)
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(3):
                self.model(*placed)
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            logits = self.model(*placed)

        def replay() -> torch.Tensor:
            graph.replay()
            return logits

        return replay


def logits(folder: Path, dtype: str, device: str, batch: TokenBatch) -> list[list[float]]:
    """PyTorch's logits of a batch, with its fused attention, as Python's floats."""
    import torch

    import bert

    model = bert.load(folder, dtype_of(dtype), device, fused=True)
    mask = torch.tensor(batch.mask(), dtype=torch.bool, device=device)
    with torch.inference_mode():
        return model(torch.tensor(batch.ids(), device=device), mask).to(torch.float64).tolist()
