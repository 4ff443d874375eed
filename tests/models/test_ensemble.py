"""An ensemble predicts in whole float32, whatever the device would rather do."""

from __future__ import annotations

import pytest
import torch

from models.training import train_ensemble


@pytest.fixture(scope="module")
def ensemble(rows, tiny):
    return train_ensemble(rows, tiny.model_copy(update={"epochs": 1}), [0])


def test_no_shortened_floats_while_predicting_and_all_as_before_after(ensemble, rows):
    seen = []
    (member,) = ensemble.members
    hook = member.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    before = torch.backends.cudnn.allow_tf32
    try:
        ensemble.member_log_barriers(rows.inputs, accelerator="cpu")
    finally:
        hook.remove()
    assert seen
    assert not any(seen)
    assert torch.backends.cudnn.allow_tf32 == before
