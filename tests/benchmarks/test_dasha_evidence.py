"""The three ways of the search, measured once each, on images and on sequences."""

from __future__ import annotations

import pytest

import dasha.bench.search


def test_every_mode(script, write_sequences, capsys, monkeypatch, page_tags):
    write_sequences("gue_mouse_2")
    runs = []
    original = dasha.bench.search.run_search

    def counted(data, folder, **options):
        runs.append(options["mode"])
        if len(runs) == 2:
            raise KeyboardInterrupt
        return original(data, folder, **options)

    monkeypatch.setattr(dasha.bench.search, "run_search", counted)
    options = ("--datasets", "gue_mouse_2", "--budget", "smoke", "--seeds", "0", "--backbone", "wide_resnet_1d")
    with pytest.raises(KeyboardInterrupt):
        script("dasha_evidence", *options)
    capsys.readouterr()
    content, page = script("dasha_evidence", *options)
    assert runs == ["on", "off", "off", "random", "auto"]
    assert "python benchmarks/dasha_evidence.py" in capsys.readouterr().out
    results = {one["method"]: one for one in content["results"]}
    assert list(results) == ["search-on", "search-off", "search-random", "search-auto"]
    assert len(content["summaries"]) == 4
    for method, one in results.items():
        assert one["metric"] == "mcc"
        assert one["score"] == one["metrics"]["mcc"]
        assert one["parameters"] > 0
        assert one["seconds"] == pytest.approx(sum(one["stages"].values()))
        has_own = method == "search-off" or one["hyperparameters"].get("kernels") == "own"
        assert bool(one["architecture"]) != has_own
        assert bool(one["searched"]) == (method != "search-off")
    assert content["environment"]["device"] == "cpu"
    assert "search-random" in page
    assert page_tags(page)
    again, _ = script("dasha_evidence", *options, "--only-report")
    assert again["results"] == content["results"]
    assert len(runs) == 5


def test_images(script, write_images):
    write_images()
    options = ("--datasets", "eurosat_rgb_3000", "--modes", "off", "--budget", "smoke", "--seeds", "0")
    several = ("--backbone", "wide_resnet_2d", "--trainings", "2")
    content, page = script("dasha_evidence", *options, *several, results=False)
    assert content["data"]["eurosat_rgb_3000"]["split"] == "by the lists train.txt, val.txt, test.txt"
    (result,) = content["results"]
    assert (result["metric"], result["method"]) == ("accuracy", "search-off")
    assert len(result["members"]) == 2
    assert content["summaries"][0]["single"] == pytest.approx(sum(result["members"]) / 2)
    assert "Single networks" in page


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--set", "tune.trails=2"), "budget has no value 'tune.trails'"),
        (("--budget", "huge"), "budget='huge' must be one of"),
        (("--seeds", "1", "1"), "must be whole numbers from 0 on, each once"),
        (("--datasets", "gue"), "there is no task 'gue'"),
        (("--only-report",), "give that folder"),
        (("--datasets", "gue_mouse_2"), "no data could be read: no folder gue_mouse_2 under"),
    ],
)
def test_bad_input(script, tmp_path, capsys, options, match):
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit):
        script("dasha_evidence", *options, results=False, tiny=False)
    assert match in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_is_not_there(script, capsys):
    with pytest.raises(SystemExit):
        script("dasha_evidence", data="nowhere")
    assert "which does not exist" in capsys.readouterr().err
