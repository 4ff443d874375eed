"""Where networks are trained: the devices there are, the same digest on each, and interrupts let through."""

from __future__ import annotations

import signal

import pytest
import torch

from models.errors import AcceleratorError
from models.lightning import interruptible, resolve_accelerator
from models.recipe import train_checkpoint
from models.training import Keeping, train_ensemble

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve_accelerator("auto") == ("cuda" if there else "cpu")
    assert resolve_accelerator("cpu") == "cpu"


def test_devices_that_there_are_not(monkeypatch, rows, tiny):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AcceleratorError, match=r"finds no CUDA device; install .*, or use cpu"):
        train_ensemble(rows, tiny, [0], accelerator="cuda")
    with pytest.raises(AcceleratorError, match="'tpu' is not known; allowed are auto, cpu, cuda"):
        resolve_accelerator("tpu")


@needs_cuda
@pytest.mark.parametrize("arch", ["cnn", "rnn", "fourier"])
def test_the_same_digest_on_cuda(rows, tiny, arch):
    settings = tiny.model_copy(update={"arch": arch, "patience": 2})
    digests = {
        train_checkpoint(rows, settings, name="t", trained_on="x", accelerator="cuda").digest
        for _ in range(2)
    }
    assert len(digests) == 1


@needs_cuda
def test_cuda_learns_what_the_cpu_learns(make, tiny):
    settings = tiny.model_copy(update={"epochs": 40})
    test = make(80, seed=1)
    errors = []
    for device in ("cpu", "cuda"):
        ensemble = train_ensemble(make(240), settings, [0, 1], accelerator=device)
        predicted = ensemble.member_log_barriers(test.inputs, accelerator=device).mean(axis=1)
        errors.append(abs(predicted - test.log_barrier()).mean())
    assert errors[1] == pytest.approx(errors[0], rel=0.3)


class TestInterrupts:
    """Ctrl-C amid a fit is a KeyboardInterrupt for whoever called, and the next one is heard too."""

    def test_it_goes_up(self, rows, tiny, tmp_path):
        def press(*_epoch):
            signal.raise_signal(signal.SIGINT)

        before = signal.getsignal(signal.SIGINT)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train_ensemble(rows, tiny, [0], keep=Keeping(logs=tmp_path, on_epoch=press))
        assert signal.getsignal(signal.SIGINT) is before

    def test_other_ends_stay_what_they_are(self):
        with pytest.raises(SystemExit, match="3"), interruptible():
            raise SystemExit(3)
