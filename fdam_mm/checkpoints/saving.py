"""Writing weights for others."""

from torch import nn


def safetensors_of(model: nn.Module) -> bytes:
    """A model's tensors as a safetensors file; those that share memory are written apart."""
    from safetensors.torch import save

    state = model.state_dict()
    return save({key: value.detach().contiguous().clone() for key, value in state.items()})
