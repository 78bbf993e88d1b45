import copy

import pytest
from helpers import run_process

from lc_music_vae import configs, hparams
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

PUBLISHED = {
    "cat-mel_2bar_big": "lc-cat-mel_2bar_big",
    "hierdec-mel_16bar": "lc-hierdec-mel_16bar",
    "hierdec-trio_16bar": "lc-hierdec-trio_16bar",
    "cat-drums_2bar_small.lokl": "lc-cat-drums_2bar_small",
    "cat-drums_2bar_small.hikl": "lc-cat-drums_2bar_small",
    "nade-drums_2bar_full": "lc-nade-drums_2bar_full",
    "groovae_4bar": "lc-groovae_4bar",
    "groovae_2bar_humanize": "lc-groovae_2bar_humanize",
    "groovae_2bar_tap_fixed_velocity": "lc-groovae_2bar_tap_fixed_velocity",
    "groovae_2bar_add_closed_hh": "lc-groovae_2bar_add_closed_hh",
    "groovae_2bar_hits_control": "lc-groovae_2bar_hits_control_tfds",
}


def test_reading_the_registry_imports_neither_tensorflow_nor_magenta():
    code = "import configs, lc_music_vae, sys; print(len(configs.CONFIG_MAP)); "
    code += "print([m for m in ('tensorflow', 'magenta', 'note_seq', 'numpy') if m in sys.modules])"
    number, heavy = run_process("-c", code).stdout.splitlines()
    assert number == str(len(configs.CONFIG_MAP))
    assert heavy == "[]"


def test_every_config_of_magenta_has_its_entry():
    from magenta.models.music_vae.configs import CONFIG_MAP

    assert len(CONFIG_MAP) == 23
    assert {name: entry.music_vae for name, entry in configs.CONFIG_MAP.items()} == {
        "lc-" + name: name for name in CONFIG_MAP
    }


def test_the_published_checkpoints():
    """Names and addresses are those in the README of magenta's models/music_vae."""
    assert {one.name: name for name, entry in configs.CONFIG_MAP.items() for one in entry.checkpoints} == PUBLISHED
    at = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/%s.tar"
    assert {name: one.url for name, one in configs.published().items()} == {name: at % name for name in PUBLISHED}
    ships = [name for name, entry in configs.CONFIG_MAP.items() if entry.shipped]
    assert ships == ["lc-cat-mel_2bar_small", "lc-cat-drums_2bar_small"]


@pytest.mark.parametrize("name", ["cat-drums_2bar_small.lokl", "groovae_2bar_humanize", "groovae_2bar_hits_control"])
def test_a_checkpoint_has_the_size_of_its_weights_and_adams_slots(name):
    import numpy as np
    import tensorflow.compat.v1 as tf
    from magenta.models.music_vae.configs import CONFIG_MAP

    config = copy.deepcopy(CONFIG_MAP[configs.CONFIG_MAP[PUBLISHED[name]].music_vae])
    config.hparams.batch_size = 1
    depth, steps = config.data_converter.input_depth, config.hparams.max_seq_len
    with tf.Graph().as_default():
        config.model.build(config.hparams, config.data_converter.output_depth, is_training=False)
        controls = tf.zeros([1, steps, config.data_converter.control_depth])
        z = config.model.encode(tf.zeros([1, steps, depth]), tf.fill([1], steps), controls).loc
        c_input = controls[0] if controls.shape[2] else None
        config.model.sample(1, max_length=steps, z=z, c_input=c_input, temperature=1.0)
        weights = sum(int(np.prod(v.shape.as_list())) for v in tf.trainable_variables())
    assert configs.published()[name].megabytes == round(12 * weights / 1e6)


@pytest.mark.parametrize(
    ("name", "hint"), [("cat-mel_2bar_big", "did you mean lc-cat-mel_2bar_big? "), ("MusicTransformer", "")]
)
def test_an_unknown_config_is_told_the_nearest(name, hint):
    with pytest.raises(InputError) as e:
        configs.get_config(name)
    known = ", ".join(sorted(configs.CONFIG_MAP))
    assert str(e.value) == "config=%s is not known; %schoose from %s" % (name, hint, known)


def test_overrides():
    values = hparams.override(HParams(), "encoded_z_size=8,latent_encoder_layers=512,128,max_beta=0.5")
    assert values.encoded_z_size == 8
    assert values.latent_encoder_layers == (512, 128)
    assert values.max_beta == 0.5
    assert values._replace(encoded_z_size=4, latent_encoder_layers=(512, 256, 64), max_beta=1.0) == HParams()
    assert hparams.override(HParams(), "latent_decoder_layers=[64,512]").latent_decoder_layers == (64, 512)
    assert hparams.override(HParams(), "decoder_variance=unit,batch_size=2") == HParams(
        decoder_variance="unit", batch_size=2
    )


def test_text_round_trips():
    values = hparams.override(HParams(), "latent_encoder_layers=7,learning_rate=0.01,batch_size=3")
    assert hparams.override(HParams(), values.text()) == values
    assert hparams.from_json(dict(values._asdict(), latent_encoder_layers=[7])) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encoded_size=8", "did you mean encoded_z_size"),
        ("colour=8", "unknown name 'colour'; known: encoded_z_size"),
        ("encoded_z_size=4.5", "not a whole number"),
        ("encoded_z_size=", "not a whole number"),
        ("encoded_z_size=1,2", "encoded_z_size=1,2 is not a whole number"),
        ("encoded_z_size=0", "must be above 0"),
        ("latent_encoder_layers=64,0", "must be one or more sizes above 0"),
        ("learning_rate=nan", "not a finite number"),
        ("learning_rate=-1", "must be above 0"),
        ("learning_rate=0.000001", "below min_learning_rate"),
        ("decay_rate=1.5", "at most 1"),
        ("beta_rate=1", "below 1"),
        ("8", "expected name=value"),
        ("encoded_z_size=1000000000", "must be above 0 and at most 1024"),
        ("encoded_z_size=1e3", "not a whole number"),
        ("encoded_z_size=-4", "must be above 0"),
        ("encoded_z_size=" + "9" * 400, "not a whole number"),
        ("latent_encoder_layers=", "not whole numbers"),
        ("latent_encoder_layers=1000000000", "up to 8192"),
        ("latent_decoder_layers=64,-64", "one or more sizes above 0"),
        ("latent_decoder_layers=64,1.5", "not whole numbers"),
        ("latent_decoder_layers=" + "8," * 40 + "8", "at most 16"),
        ("learning_rate=inf", "not a finite number"),
        ("learning_rate=1e400", "not a finite number"),
        ("learning_rate=11", "at most 10"),
        ("learning_rate=fast", "not a finite number"),
        ("min_learning_rate=-0.1", "must be 0 or more"),
        ("decay_rate=0", "must be above 0"),
        ("max_beta=-1", "must be 0 or more"),
        ("max_beta=-inf", "not a finite number"),
        ("max_beta=1e9", "at most 1000000"),
        ("beta_rate=-0.5", "must be 0 or more"),
        ("grad_clip=-1", "must be 0 or more"),
        ("grad_clip=nan", "not a finite number"),
        ("batch_size=-1", "must be 0 or more"),
        ("batch_size=1.5", "not a whole number"),
        ("batch_size=1000000000", "at most 100000"),
        ("batch_sizes=4", "did you mean batch_size"),
        ("latent_encoder_layers=64,inf", "not whole numbers"),
    ],
)
@pytest.mark.faults("wrong hyperparameters")
def test_wrong_overrides_are_one_line(text, message):
    with pytest.raises(InputError, match=message) as e:
        hparams.override(HParams(), text)
    assert "\n" not in str(e.value)


def test_defaults_are_those_of_the_design():
    assert HParams() == HParams(
        encoded_z_size=4,
        latent_encoder_layers=(512, 256, 64),
        latent_decoder_layers=(64, 256, 512),
        learning_rate=0.001,
        decay_rate=1.0,
        min_learning_rate=0.00001,
        max_beta=1.0,
        beta_rate=0.0,
        grad_clip=0.0,
        batch_size=0,
        decoder_variance="learned",
    )


# The least and the most that each may be, and what is just beyond.
@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("encoded_z_size", (1, 1024), (0, 1025)),
        ("latent_encoder_layers", ("1", "8192", ",".join(["1"] * 16)), ("0", "8193", ",".join(["1"] * 17))),
        ("learning_rate", (1e-5, 10), (0, 10.1)),
        ("decay_rate", (5e-324, 1), (0, 1.0001)),
        ("min_learning_rate", (0, 0.001), (-1e-9, 10.1)),
        ("max_beta", (0, 1e6), (-1e-9, 1000001)),
        ("beta_rate", (0, 0.9999), (-1e-9, 1)),
        ("grad_clip", (0, 1e30), (-1e-9, 1.1e30)),
        ("batch_size", (0, 100000), (-1, 100001)),
    ],
)
def test_each_range_ends_where_it_says(name, allowed, refused):
    for value in allowed:
        assert hparams.override(HParams(), "%s=%s" % (name, value)) is not None
    for value in refused:
        with pytest.raises(InputError, match=r"hparams: %s=.* must be " % name):
            hparams.override(HParams(), "%s=%s" % (name, value))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("encoded_size=8", "unknown name 'encoded_size'; did you mean encoded_z_size?"),
        ("8", "expected name=value, found '8'"),
        ("learning_rate=fast", "learning_rate=fast is not a finite number"),
        ("latent_encoder_layers=", "latent_encoder_layers= is not whole numbers"),
        ("encoded_z_size=0", "encoded_z_size=0 must be above 0 and at most 1024"),
        (
            "latent_encoder_layers=0",
            "latent_encoder_layers=0 must be one or more sizes above 0: at most 16, up to 8192",
        ),
        ("learning_rate=1e-6", "learning_rate=1e-06 is below min_learning_rate=1e-05; lower that too"),
    ],
)
@pytest.mark.faults("wrong hyperparameters")
def test_what_is_said_is_this(text, line):
    with pytest.raises(InputError) as e:
        hparams.override(HParams(), text)
    assert str(e.value) == "hparams: " + line


def test_an_unknown_name_that_is_near_to_none_lists_all():
    with pytest.raises(InputError) as e:
        hparams.override(HParams(), "colour=8")
    assert str(e.value) == "hparams: unknown name 'colour'; known: " + ", ".join(HParams._fields)


def test_no_override_is_none():
    for text in ("", None, " ", ","):
        assert hparams.override(HParams(), text) == HParams()
