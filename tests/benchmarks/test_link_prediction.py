import pytest

from benchmarks import link_prediction
from kdcn_tf import config


def run(*arguments):
    with pytest.raises(SystemExit) as exit_info:
        link_prediction.main(arguments)
    return exit_info.value.code


@pytest.mark.parametrize(
    "variant", link_prediction.VARIANTS, ids=lambda variant: f"{variant.preset}-{variant.graph}-{variant.name}"
)
def test_every_row_is_a_configuration(variant):
    assignments = [f"{name}={value}" for name, value in {**link_prediction.RANKED, **variant.changes}.items()]
    resolved = config.resolve(variant.preset, assignments=assignments)
    assert variant.name in config.PRESETS or resolved != config.resolve(variant.preset)


def test_every_column_is_a_preset():
    assert set(link_prediction.PRESETS) < set(config.PRESETS)


def test_figures_are_means_of_seeds():
    found = {"seeds": [{}, {}], "mean": {"mrr": 0.25, "hits@10": 0.5}}
    results = {"wn18rr": {"paper": {"seeds": []}, "gcn": found, "default": found}}
    assert link_prediction.figures_of(results) == {
        "paper_wn18rr_mrr": None, "paper_wn18rr_hits10": None, "wn18rr_mrr": 0.25, "wn18rr_hits10": 0.5,
        "gcn_wn18rr_mrr": 0.25, "gcn_wn18rr_hits10": 0.5,
    }  # fmt: skip


def test_a_wrong_name_or_folder_is_a_wrong_configuration(tmp_path, capsys):
    assert run(f"--data={tmp_path}", "--only=fb15k") == 2
    assert "fb15k" in capsys.readouterr().err
    assert run(f"--data={tmp_path}") == 2
    assert "FB15k-237" in capsys.readouterr().err
