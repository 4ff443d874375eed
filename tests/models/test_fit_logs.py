"""Every epoch is a row of a CSV and a point for TensorBoard, and watching changes no weight."""

from __future__ import annotations

import csv
import struct

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from models.fit_logs import clear_logs
from models.training import Keeping, train_ensemble


def rows_of(file):
    with file.open() as stream:
        return list(csv.DictReader(stream))


def scalars(folder):
    """The scalars of the one event file of a folder: name to list of (step, value)."""
    [file] = folder.glob("events.out.tfevents.*")
    content, found, at = file.read_bytes(), {}, 0
    while at < len(content):
        (length,) = struct.unpack("<Q", content[at : at + 8])
        event = Event.FromString(content[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += 16 + length
    return found


def test_csv_and_tensorboard_say_the_same(rows, tiny, tmp_path):
    train_ensemble(rows, tiny, [0, 1], keep=Keeping(logs=tmp_path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["member-0", "member-1"]
    for label in ("member-0", "member-1"):
        logged = rows_of(tmp_path / label / "metrics.csv")
        assert [row["epoch"] for row in logged] == ["1", "2", "3"]
        points = scalars(tmp_path / label)
        for name in ("training_loss", "learning_rate"):
            values = [(int(row["step"]), float(row[name])) for row in logged]
            assert [step for step, _ in points[name]] == [1, 2, 3]
            assert [v for _, v in points[name]] == pytest.approx([v for _, v in values], rel=1e-6)
        assert "hp_metric" not in points
        assert f"network_seed: {label[-1]}" in (tmp_path / label / "hparams.yaml").read_text()


def test_the_training_loss_is_the_mean_over_hops(make, tiny, tmp_path):
    # One epoch of one step that learns next to nothing, without noise: the loss of a fresh network.
    still = {"epochs": 1, "batch_size": 500, "dropout": 0.0, "input_noise": 0.0, "input_dropout": 0.0}
    still |= {"mixup": 0.0, "trees": 0, "target_power": 0.0}
    rows = make(50)
    vectors = tiny.model_copy(update={**still, "learning_rate": 1e-12, "groups": ("local", "chemistry")})
    ensemble = train_ensemble(rows, vectors, [0], keep=Keeping(logs=tmp_path))
    [logged] = rows_of(tmp_path / "member-0" / "metrics.csv")
    predicted = torch.from_numpy(ensemble.plain_log_barriers(rows.inputs)[:, 0])
    scale = ensemble.standardiser
    error = (predicted - torch.from_numpy(rows.log_barrier())).abs() / scale.target_std
    beta = tiny.robust_beta
    loss = torch.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta).mean()
    assert float(logged["training_loss"]) == pytest.approx(float(loss), rel=1e-4)


def test_a_log_begins_anew(rows, tiny, tmp_path):
    own = tmp_path / "member-0"
    own.mkdir()
    (own / "metrics.csv").write_text("epoch,half\n1,")
    (own / "events.out.tfevents.1.host").write_bytes(b"half a rec")
    (own / "notes.txt").write_text("mine")
    train_ensemble(rows, tiny, [0], keep=Keeping(logs=tmp_path))
    assert [row["epoch"] for row in rows_of(own / "metrics.csv")] == ["1", "2", "3"]
    assert len(scalars(own)["training_loss"]) == 3
    assert (own / "notes.txt").read_text() == "mine"


def test_clearing_takes_our_logs_alone(tmp_path):
    kept = ("member-9/notes.txt", "metrics.csv", "members/metrics.csv", "experiment-3/metrics.csv")
    gone = ("member-9/metrics.csv", "member-1/metrics.csv", "member-1/hparams.yaml")
    for name in (*kept, *gone, "calibration-fold-3-0/metrics.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    clear_logs(tmp_path)
    assert sorted(
        str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()
    ) == sorted(kept)
    assert not (tmp_path / "member-1").exists()
    assert not (tmp_path / "calibration-fold-3-0").exists()
    clear_logs(tmp_path / "nowhere")


def test_watching_changes_no_weight(rows, tiny, tmp_path):
    calls = []
    watched = Keeping(logs=tmp_path, on_epoch=lambda *call: calls.append(call))
    one, other = (train_ensemble(rows, tiny, [0], keep=keep).members[0] for keep in (None, watched))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert calls == [("member-0", k, 3) for k in (1, 2, 3)]
