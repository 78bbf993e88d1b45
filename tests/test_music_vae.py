"""The two frozen halves against magenta's own TrainedModel, on the same checkpoint and the same bars."""

import numpy as np
import pytest
from helpers import EXAMPLE, drum_and_band, melody, tune

from lc_music_vae import data
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae
from lc_music_vae.music import examples
from lc_music_vae.music.examples import Song

pytestmark = pytest.mark.slow

SHIPPED = "cat-mel_2bar_small"


def prefix_of(name, cut_down):
    if name == SHIPPED:
        return Weights(finding.shipped("cat-mel_2bar_small_folk.tar"))._prefix
    return cut_down[name]


def windows_for(name):
    converter = data.WindowConverter(name)
    song = next(examples.read(EXAMPLE)) if name == SHIPPED else Song("band", drum_and_band(20))
    return converter.windows(converter.score(song))[:7]  # neither batch of 4 nor of 3 is filled


@pytest.mark.parametrize(
    "name",
    [SHIPPED, "cat-mel_2bar_big", "hierdec-mel_16bar", "hier-mel_16bar", "cat-drums_2bar_small", "hierdec-trio_16bar"],
)
def test_encodes_and_decodes_as_magenta(name, cut_down):
    from magenta.models.music_vae import TrainedModel
    from magenta.models.music_vae.configs import CONFIG_MAP

    windows = windows_for(name)
    inputs, lengths = [w.inputs[0] for w in windows], [w.length for w in windows]
    prefix = prefix_of(name, cut_down)
    weights = Weights(finding.find(prefix, "--pretrained_path"))
    reference = TrainedModel(CONFIG_MAP[name], batch_size=4, checkpoint_dir_or_path=prefix)
    _, mean, scale = reference.encode_tensors(list(inputs), list(lengths))

    encoder = music_vae.Encoder(name, weights)
    our_mean, our_scale = encoder.encode(inputs, lengths)
    encoder.close()
    assert our_mean.shape == (len(windows), CONFIG_MAP[name].hparams.z_size)
    assert np.abs(mean - mean[:1]).max() > 1e-3  # windows differ, or equality would mean nothing
    np.testing.assert_allclose(our_mean, mean, atol=1e-5)
    np.testing.assert_allclose(our_scale, scale, atol=1e-5)

    length = CONFIG_MAP[name].hparams.max_seq_len
    theirs = np.array(reference.decode_to_tensors(mean, length, temperature=1e-6))
    decoder = music_vae.Decoder(name, weights, batch_size=3)
    ours = decoder.decode(mean, temperature=1e-6)
    decoder.close()
    assert ours.shape == theirs.shape
    assert len(np.unique(ours.argmax(-1))) > 1
    # Random networks are chaotic: a difference in the last bit may change one step of a window, and all after it. So
    # would a draw by chance, magenta's having no seed: hence a temperature at which there is none.
    equal = (ours == theirs).all((1, 2))
    assert equal.sum() >= len(windows) - 1


def test_decoder_noise_is_a_function_of_the_seed(cut_down):
    weights = Weights(finding.find(prefix_of("hierdec-mel_16bar", cut_down), "--pretrained_path"))
    z = np.random.RandomState(0).normal(size=(5, 12))

    def decode(seed):
        decoder = music_vae.Decoder("hierdec-mel_16bar", weights, 2, seed=seed)
        return decoder.decode(z, 1.0), decoder.decode(z, 1.0)

    one, same, other = decode(1), decode(1), decode(2)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])  # a second call goes on in the stream


def test_every_bar_is_drawn_with_noise_of_its_own(cut_down):
    weights = Weights(finding.find(prefix_of("hierdec-mel_16bar", cut_down), "--pretrained_path"))
    decoder = music_vae.Decoder("hierdec-mel_16bar", weights, 1)
    drawn = decoder.decode(np.zeros((1, 12)), temperature=1e6)  # nothing but noise
    decoder.close()
    bars = drawn.argmax(-1).reshape(16, 16)
    assert len({tuple(sorted(bar)) for bar in bars}) == 16


def test_each_half_reads_only_its_own_variables(cut_down, tmp_path):
    import tensorflow.compat.v1 as tf

    reader = tf.train.NewCheckpointReader(prefix_of("cat-mel_2bar_big", cut_down))
    for half, build, other in (
        (
            "encoder",
            lambda w: music_vae.Encoder("cat-mel_2bar_big", w),
            lambda w: music_vae.Decoder("cat-mel_2bar_big", w, 1),
        ),
        (
            "decoder",
            lambda w: music_vae.Decoder("cat-mel_2bar_big", w, 1),
            lambda w: music_vae.Encoder("cat-mel_2bar_big", w),
        ),
    ):
        prefix = str(tmp_path / half)
        with tf.Graph().as_default(), tf.Session() as session:
            names = [n for n in reader.get_variable_to_shape_map() if n.startswith(half) and "Adam" not in n]
            variables = {n: tf.Variable(reader.get_tensor(n)) for n in names}
            session.run(tf.global_variables_initializer())
            tf.train.Saver(variables).save(session, prefix)
        weights = Weights(finding.find(prefix, "--pretrained_path"))
        build(weights).close()
        with pytest.raises(InputError, match="has no variable .*, which cat-mel_2bar_big needs"):
            other(weights)


def test_another_configs_checkpoint_is_refused(cut_down):
    weights = Weights(finding.find(cut_down["cat-mel_2bar_big"], "--pretrained_path"))
    with pytest.raises(InputError, match="which cat-mel_2bar_small needs; give a checkpoint of"):
        music_vae.Encoder("cat-mel_2bar_small", weights)


def test_batches_do_not_matter(cut_down):
    """70 windows through the fixed batch of 32 of a hierarchical encoder are each window alone."""
    name = "hier-mel_16bar"
    converter = data.WindowConverter(name)
    windows = converter.windows(converter.score(Song("tune", melody(tune(85)))))
    assert len(windows) == 70
    encoder = music_vae.Encoder(name, Weights(finding.find(cut_down[name], "--pretrained_path")))
    together, _ = encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    for i in (0, 33, 69):
        alone, _ = encoder.encode([windows[i].inputs[0]], [windows[i].length])
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)
