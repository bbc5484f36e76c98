from pathlib import Path

import pytest

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from tests.torchgeo.test_tasks import task_of


def test_every_logger_gets_what_was_found(data_of, trainer_of, tmp_path, monkeypatch):
    board, table = TensorBoardLogger(tmp_path, name="tb"), CSVLogger(tmp_path, name="csv")
    writer, drawn = type(board.experiment), {}
    for name in ("add_figure", "add_text"):
        monkeypatch.setattr(writer, name, lambda self, tag, content, *rest, **options: drawn.setdefault(tag, content))
    task = task_of(backbone="auto", overrides={**task_of().hparams["overrides"], "backbone_options": {}})
    trainer_of(logger=[board, table], log_every_n_steps=1).fit(task, data_of())

    names = Path(table.log_dir, "metrics.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {"dasha/score", "dasha/seconds_search", "dasha/score_unet_2d", "train_loss", "val_loss"} <= set(names)
    assert {"dasha/kernels", "dasha/search", "image/0"} <= set(drawn)  # the last is TorchGeo's own
    rows = [label.get_text() for label in drawn["dasha/kernels"].axes[0].get_yticklabels()]
    assert rows == list(task.found.plan.architecture)
    assert f"| backbone | {task.found.plan.backbone} |" in drawn["dasha/search"]
    assert "| accuracy on validation |" in drawn["dasha/search"]
    assert "found_lr" in Path(board.log_dir, "hparams.yaml").read_text(encoding="utf-8")
