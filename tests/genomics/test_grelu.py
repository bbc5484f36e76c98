"""gReLU brings some eighty packages; these tests run where it is installed."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from dasha.errors import InvalidArgumentError, OptionalDependencyError
from dasha.search.plan import NetworkPlan
from dasha.search.result import SearchResult
from dasha.tasks import TaskSpec
from genomics_adapter.estimator import DashaSequenceClassifier

HAS_GRELU = importlib.util.find_spec("grelu") is not None
needs_grelu = pytest.mark.skipif(not HAS_GRELU, reason="gReLU is not installed")
TINY = {"search.epochs": 1, "search.width": 1, "search.kernel_sizes": (3, 5), "search.dilations": (1,)}
TINY |= {"tune.trials": 1, "tune.max_resource": 1, "tune.lr": (0.05, 0.05), "retrain.epochs": 1, "width": 1}


@pytest.mark.skipif(HAS_GRELU, reason="gReLU is installed")
def test_without_grelu_the_error_names_the_command():
    with pytest.raises(
        OptionalDependencyError, match=r"'grelu' is not installed; run: pip install 'dasha-plugins\[grelu"
    ):
        import genomics_adapter.grelu  # noqa: F401


@needs_grelu
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_grelus_own_functions_train_predict_and_explain(tmp_path, monkeypatch):
    from grelu.data.dataset import DFSeqDataset
    from grelu.interpret.score import get_attributions

    from genomics_adapter.grelu import DashaLightningModel, grelu_model

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (120, 24))]
    options = {"budget": "smoke", "backbone": "wide_resnet_1d", "overrides": TINY, "reverse_complement": False}
    fitted = DashaSequenceClassifier(**options).fit(texts, labels)
    params = {"max_epochs": 1, "batch_size": 32, "devices": "cpu", "num_workers": 0, "logger": None}
    model = grelu_model(fitted, train_params=params)
    assert model.train_params["lr"] == fitted.hyperparameters_["lr"]
    predicted = np.asarray(model.predict_on_seqs(texts, device="cpu"))
    assert predicted.shape == (120, 1, 1)
    np.testing.assert_allclose(predicted[:, 0, 0], fitted.predict_proba(texts)[:, 1], rtol=1e-5)
    frame = pd.DataFrame({"sequence": texts, "label": labels.astype(float)})
    train, validation = DFSeqDataset(frame[:80]), DFSeqDataset(frame[80:])
    model.train_on_dataset(train, validation)
    assert model.predict_on_dataset(validation, devices="cpu").shape == (40, 1, 1)
    assert get_attributions(model, texts[:2], method="deepshap", device="cpu", n_shuffles=2).shape == (2, 4, 24)
    checkpoint = next(tmp_path.rglob("last.ckpt"))
    again = DashaLightningModel.load_from_checkpoint(checkpoint, weights_only=False).eval()
    now = np.asarray(model.eval().predict_on_seqs(texts, device="cpu"))
    np.testing.assert_allclose(np.asarray(again.predict_on_seqs(texts, device="cpu")), now, rtol=1e-5)


@needs_grelu
def test_tasks_that_grelu_does_not_have():
    from genomics_adapter.grelu import grelu_model

    plan = NetworkPlan(TaskSpec("segmentation", 4, 2), 1, "unet_1d", True, 1)
    found = SearchResult(plan, {"lr": 0.1}, 0.0, {}, {})
    with pytest.raises(InvalidArgumentError, match="kind='segmentation' is no task of gReLU"):
        grelu_model(found)
