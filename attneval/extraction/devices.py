"""The devices that PyTorch can run models on."""

from __future__ import annotations

import torch


def devices() -> dict[str, str]:
    """List devices by the name that `--device` takes, with what each is."""
    named = {"cpu": f"{torch.get_num_threads()} threads"}
    named |= {f"cuda:{number}": torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())}
    return named | ({"mps": "available"} if torch.backends.mps.is_available() else {})
