"""A device that torch pretends to have: tensors on it compute on the CPU, and mix with others as on CUDA.

It goes by the name of ``cuda``, which torch knows in every build, so that code under test needs no change;
CUDA itself is never touched. It tells where code forgets which device its tensors are on, and nothing else.
Rules are those of CUDA: tensors without dimensions may come from the host, and so may indices; numbers may be
read one by one; numpy may not look; and moving a tensor copies it, so that nothing is shared across.
"""

from __future__ import annotations

import re

import torch
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("cuda:0")
HOST = torch.device("cpu")

ANSWERS = {
    torch.Tensor.device.__get__: DEVICE,
    torch.Tensor.is_cuda.__get__: True,
    torch.Tensor.is_cpu.__get__: False,
    torch.Tensor.get_device: 0,
}
"""What tensors on the device say of it."""

CROSSES = {"copy_", "expand_as", "reshape_as", "view_as"}
"""Methods that take tensors from either side."""

TAKES_NO_NUMBERS = {"cat", "concat", "concatenate", "stack", "hstack", "vstack"}
"""Functions for which even a tensor without dimensions has to be on the device."""


class OnDevice(torch.Tensor):
    """A tensor on the pretended device."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, {} if kwargs is None else kwargs)


class PretendDevice(TorchFunctionMode):
    """Within this context ``device="cuda"`` is the pretended device, to factories and to `Tensor.to`.

    `calls` counts those that gave a tensor on it, so that tests can tell that it was used at all.
    """

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = _run(func, args, {} if kwargs is None else kwargs)
        self.calls += isinstance(result, OnDevice)
        return result


def _run(func, args, kwargs):
    """Call a function of torch on the CPU, with the manners and for the results of the device."""
    if func is torch.device:  # a name alone, which torch asks modes about too
        return func(*args, **kwargs)
    name = func.__name__
    held = _tensors((args, kwargs))
    here = any(isinstance(t, OnDevice) for t in held)
    if here and func in ANSWERS:
        return ANSWERS[func]
    asked = _asked(name, args, kwargs)
    if here:
        _refuse_numpy(name)
        if asked is None:
            _refuse_mixtures(name, held, args, kwargs)
    with torch._C.DisableTorchFunctionSubclass():
        if name == "cuda":  # the true one would start CUDA
            func, args, kwargs = torch.Tensor.to, (args[0], HOST), {}
        result = func(*map(_grounded, args), **{key: _grounded(value) for key, value in kwargs.items()})
        if asked is not None:
            crossed = here != (asked.type == DEVICE.type)
            return _placed(result, asked.type == DEVICE.type, copied=crossed)
        owned = isinstance(args[0], OnDevice) if name in {"copy_", "__getitem__"} else here
        return _placed(result, owned, copied=False)


def _tensors(values):
    """Return the tensors in nested arguments."""
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(_tensors(value))
        elif isinstance(value, dict):
            found.extend(_tensors(value.values()))
    return found


def _as_device(value):
    """Return the device that an argument names, if it does."""
    if isinstance(value, str) and re.fullmatch(r"(cpu|cuda)(:\d+)?", value):
        value = torch.device(value)
    if not isinstance(value, torch.device) or value.type not in {HOST.type, DEVICE.type}:
        return None
    if value.type == DEVICE.type and value.index not in {None, DEVICE.index}:
        raise RuntimeError(f"CUDA error: invalid device ordinal: {value}; only {DEVICE} is pretended")
    return value


def _asked(name, args, kwargs):
    """Return the device that a call asks for in so many words."""
    if name in {"cpu", "cuda"}:
        return HOST if name == "cpu" else DEVICE
    if name in {"to", "type_as"}:
        others = [t for t in (*args[1:], kwargs.get("other")) if isinstance(t, torch.Tensor)]
        if others:
            return DEVICE if isinstance(others[0], OnDevice) else HOST
    named = [_as_device(value) for value in (*args, kwargs.get("device"))]
    return next((device for device in named if device is not None), None)


def _grounded(value):
    """Return an argument with the pretended device replaced by the CPU."""
    return value if _as_device(value) is None else HOST


def _placed(result, on_device, *, copied):
    """Return a result with its tensors on the side where they belong."""
    if isinstance(result, list | tuple):
        return type(result)([_placed(part, on_device, copied=copied) for part in result])
    if not isinstance(result, torch.Tensor):
        return result
    if copied:
        result = result.as_subclass(torch.Tensor).clone()
    if on_device and not isinstance(result, OnDevice):
        return result.as_subclass(OnDevice)
    return result


def _refuse_numpy(name):
    if name in {"numpy", "__array__"}:
        raise TypeError(
            f"can't convert {DEVICE} device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )
    if name == "__dlpack__":
        raise BufferError(f"a tensor on {DEVICE} is not in host memory")


def _refuse_mixtures(name, held, args, kwargs):
    """Refuse calls on tensors of both sides that CUDA would refuse."""
    if name in CROSSES:
        return
    if name in {"__getitem__", "__setitem__"}:
        _refuse_indices(*args)
        return
    foreign = [t for t in held if not isinstance(t, OnDevice)]
    in_place = name.endswith("_") and not name.endswith("__")
    written = _tensors([args[0] if in_place else None, kwargs.get("out")])
    if (
        any(t.dim() > 0 or name in TAKES_NO_NUMBERS for t in foreign)
        or not all(isinstance(t, OnDevice) for t in written)
    ):  # fmt: skip
        _refuse()


def _refuse_indices(of, index, value=None):
    """Refuse indices and assigned values that are on the wrong side."""
    parts = index if isinstance(index, tuple) else (index,)
    owned = isinstance(of, OnDevice)
    if not owned and any(isinstance(t, OnDevice) and t.dim() > 0 for t in _tensors(parts)):
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
        )
    # Slices and single numbers are copied into, from wherever.
    if all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
        return
    if isinstance(value, torch.Tensor) and isinstance(value, OnDevice) != owned:
        if owned and value.dim() == 0:
            return
        _refuse()


def _refuse():
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {DEVICE} and {HOST}!"
    )
