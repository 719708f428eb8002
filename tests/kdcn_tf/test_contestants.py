import pytest

from kdcn_tf import config, contestants, options
from kdcn_tf.errors import ConfigError


def test_differences_come_on_top_of_the_configuration():
    base = config.resolve(assignments=["kdcn.dropout=0.3", "kdcn.pretrained=true"])
    own = contestants.configured("kdcn_no_pretraining", base)
    assert (own.kdcn.pretrained, own.kdcn.dropout) == (False, 0.3)
    assert contestants.configured("kdcn", base) == base
    assert not contestants.configured("kdcn_no_dialogue", base).kdcn.dialogue


@pytest.mark.parametrize("name", contestants.ABLATIONS)
def test_an_ablation_changes_what_it_says_and_no_more(name):
    base = config.resolve()
    own, differences = contestants.configured(name, base), contestants.ABLATIONS[name].differences
    changed = {
        f"{section}.{field}"
        for section, fields in options.to_dict(own).items()
        for field, value in fields.items()
        if value != options.to_dict(base)[section][field]
    }
    assert changed == set(differences)


def test_an_ablation_of_what_is_not_chosen_is_left_out():
    assert contestants.ablations(config.resolve()) == list(contestants.ABLATIONS)
    loud = contestants.configured("kdcn_loud_knowledge", config.resolve())
    assert set(contestants.ABLATIONS) - set(contestants.ablations(loud)) == {"kdcn_loud_knowledge"}


@pytest.mark.parametrize(
    ("model", "reads", "reads_not"),
    [
        ("lr", ["lr.iterations=9", "finetune.seed=3"], ["kdcn.dim=4", "finetune.epochs=9", "gbdt.leaves=9"]),
        ("gbdt", ["gbdt.leaves=9", "finetune.seed=3"], ["kdcn.dim=4", "kdcn.heads=2", "lr.iterations=9"]),
        ("kdcn", ["kdcn.dim=4", "kdcn.heads=2", "trial.patience=1", "finetune.epochs=9"], ["gbdt.leaves=9"]),
        ("dcn", ["kdcn.cross_layers=3", "finetune.seed=3"], ["kdcn.dim=4", "lr.iterations=9", "encoder.dim=4"]),
    ],
)
def test_a_model_reads_its_own_settings(model, reads, reads_not):
    def settings(*assignments):
        return contestants.settings(model, contestants.configured(model, config.resolve(assignments=assignments)))

    assert all(settings(one) != settings() for one in reads)
    assert all(settings(one) == settings() for one in reads_not)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"model 'svm': unknown; known: kdcn, kdcn_no_pretraining, .*, lr"):
        contestants.contestant("svm")
