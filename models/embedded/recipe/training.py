"""The loop that both models are trained with."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch


def train(model, optimizer, state: Path, steps: int, rate: Callable[[int], float],
          losses: Callable[[int], Iterator[tuple[torch.Tensor, int]]], measure: Callable[[], dict]) -> list[dict]:
    """Goes on from the checkpoint in state, if there is one, up to so many steps, and returns the loss and what was measured every 500.
    rate gives the learning rate of a step; losses the losses after so many steps, each with its number of tokens."""
    first, curve = 0, []
    if state.exists():
        saved = torch.load(state, weights_only=False)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, curve = saved["step"], saved["curve"]
    source = losses(first)
    start, tokens, seen = time.time(), 0, []
    for step in range(first + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss, count = next(source)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        tokens += count
        seen.append(loss.item())
        if step % 50 == 0:
            print(f"step {step}/{steps} loss {np.mean(seen[-50:]):.3f} {tokens / (time.time() - start):.0f} tokens/s", flush=True)
        if step % 500 == 0 or step == steps:
            curve.append({"step": step, "loss": round(float(np.mean(seen[-500:])), 3), **measure()})
            print(curve[-1], flush=True)
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "curve": curve}, state)
    return curve
