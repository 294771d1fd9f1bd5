import csv
import math

from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.training import History
from speechbrain_ext.training import history as module


def test_rows_are_averages_and_columns_may_differ(tmp_path):
    history = History(tmp_path / "history.csv")
    history.add("train", loss=1.0)
    history.add("train", loss=3.0, rate=0.5)
    history.write(step=2, stage="train", skipped=3)
    history.add("valid", objective=-4.0)
    history.write(step=2, stage="valid")
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["loss"] == "2.0"
    assert rows[0]["rate"] == "0.5"
    assert rows[0]["skipped"] == "3"
    assert rows[0]["objective"] == ""
    assert rows[1]["objective"] == "-4.0"


def test_a_bad_batch_hides_no_other_in_training(tmp_path):
    history = History(tmp_path / "history.csv")
    for loss in (1.0, float("nan"), 3.0, float("inf")):
        history.add("train", loss=loss)
        history.add("valid", loss=loss)
    history.add("train", never=float("nan"))
    row = history.write(step=4, stage="train")
    assert row["loss"] == 2.0
    assert math.isnan(row["never"])
    assert not math.isfinite(history.write(step=4, stage="valid")["loss"])


def test_resuming_drops_the_rows_that_were_lost(tmp_path):
    history = History(tmp_path / "history.csv")
    checkpointer = Checkpointer(tmp_path / "save", {"history": history})
    history.add("train", loss=1.0)
    history.write(step=1, stage="train")
    history.add("train", loss=5.0)
    checkpointer.save_checkpoint()
    history.add("train", loss=9.0)
    history.write(step=2, stage="train")

    again = History(tmp_path / "history.csv")
    Checkpointer(tmp_path / "save", {"history": again}).recover_if_possible()
    assert [row["step"] for row in again.rows] == [1]
    again.add("train", loss=7.0)
    assert again.write(step=2, stage="train")["loss"] == 6.0


def test_no_value_of_the_training_is_in_the_row_of_the_validation(tmp_path):
    history = History(tmp_path / "history.csv")
    log_interval, batches_per_epoch, step = 2, 3, 0
    for _ in range(2):
        for _ in range(batches_per_epoch):
            step += 1
            history.add("train", objective=float(step), rate=1.0)
            if step % log_interval == 0:
                history.write(step=step, stage="train")
        history.add("valid", objective=100.0)
        row = history.write(step=step, stage="valid")
        assert row == {"step": step, "stage": "valid", "objective": 100.0}
    found = [r["objective"] for r in history.rows if r["stage"] == "train"]
    assert found == [1.5, 3.5, 5.5]


def test_only_the_main_process_writes_into_a_checkpoint(tmp_path, monkeypatch):
    history = History(tmp_path / "history.csv")
    history.add("train", loss=1.0)
    history._save(tmp_path / "main")
    monkeypatch.setattr(module, "if_main_process", lambda: False)
    history.add("train", loss=2.0)
    history._save(tmp_path / "main")
    restored = History(tmp_path / "history.csv")
    restored._load(tmp_path / "main", end_of_epoch=False)
    assert restored.write(step=1, stage="train")["loss"] == 1.0
