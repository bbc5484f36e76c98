import json
import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("torchgeo", reason="torchgeo is not installed")

from tests.torchgeo.conftest import EXAMPLES
from tests.torchgeo.test_tasks import task_of

SCRIPT = """
import sys, json, os, torch
from datetime import timedelta
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from generated_data import GeneratedDataModule
from tests.torchgeo.test_tasks import task_of
import dasha.search.workflow as workflow

search = workflow.Dasha.search
def counted(self, train, validation):
    with open("searches.txt", "a") as file:
        file.write(os.environ.get("LOCAL_RANK", "0") + "\\n")
    {extra}
    return search(self, train, validation)
workflow.Dasha.search = counted

task = task_of({options})
trainer = Trainer(accelerator="cpu", devices=2, strategy=DDPStrategy(process_group_backend="gloo"), max_epochs=1,
                  logger=False, enable_progress_bar=False, enable_model_summary=False, {trainer})
trainer.fit(task, GeneratedDataModule(target="class", size=8, count=16))
state = {{name: float(value.double().sum()) for name, value in task.model.state_dict().items() if "running" not in name
          and "num_batches" not in name}}
with open(f"rank-{{trainer.global_rank}}.json", "w") as file:
    json.dump({{"plan": task.hparams["architecture"], "state": state}}, file)
"""


def run(tmp_path, extra="pass", options="", trainer=""):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).format(extra=extra, options=options, trainer=trainer), encoding="utf-8")
    root = EXAMPLES.parents[1]
    search = os.pathsep.join(map(str, (root, root / "plugins", EXAMPLES)))
    return subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_one_of_two_processes_searches_and_both_have_its_network(tmp_path):
    result = run(tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "searches.txt").read_text().split() == ["0"]
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert [path.suffix for path in (tmp_path / "dasha").iterdir()] == [""]


@pytest.mark.slow
def test_both_processes_have_what_the_first_one_measured(tmp_path, trainer_of, data_of):
    task = task_of(run_dir=str(tmp_path / "run"))
    trainer_of(limit_train_batches=1).fit(task, data_of(offset=1.0))
    # Without a folder that both see.
    apart = "default_root_dir='home' + os.environ.get('LOCAL_RANK', '0')"
    result = run(tmp_path, options=f"architecture={str(tmp_path / 'run')!r}", trainer=apart)
    assert result.returncode == 0, result.stderr[-3000:]
    assert not (tmp_path / "searches.txt").exists()
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["plan"]["plan"]["normalization"] != task.hparams["architecture"]["plan"]["normalization"]
    assert not list(tmp_path.rglob("dasha*"))


@pytest.mark.slow
def test_a_search_that_fails_ends_both_processes(tmp_path):
    result = run(tmp_path, extra='raise ValueError("no such band")')
    assert result.returncode != 0
    assert "no such band" in result.stderr
