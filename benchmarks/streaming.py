"""Measures training on latents that are streamed from disk, beside training on those that memory holds.

The rate: steps of 512 windows from random latents, streamed, beside steps on one batch that is kept in memory; both in
one run, alternately. Memory: the peak of a process that trains on a collection, and on one several times as large. The
loss: that of all windows after as many steps, streamed, beside a full shuffle and beside songs in their order.

    python benchmarks/streaming.py [--windows=400000] [--larger=4] [--z_size=512] [--steps=200] [--runs=5] [--loss=yes]

It takes 20 minutes and, for a moment, `larger` times 1.7 GB of disk in the temporary folder.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
SIZE = 512
WINDOWS_OF_LOSS, STEPS_OF_LOSS, SEEDS_OF_LOSS = 100_000, (50, 100, 200, 400), range(4)


def found_in(folder, z_size, windows):
    """Returns the latents in a folder."""
    from lc_music_vae.encoding import latents

    return latents.Latents(tuple(sorted(os.path.join(folder, n) for n in os.listdir(folder))), windows, z_size, ())


class Steps:
    """Training steps on batches of an input_fn, in a graph and session of their own."""

    def __init__(self, input_fn, z_size, windows):
        import tensorflow.compat.v1 as tf

        from lc_music_vae.hparams import HParams
        from lc_music_vae.training import estimator

        with tf.Graph().as_default():
            batches = tf.data.make_initializable_iterator(input_fn())
            tf.train.get_or_create_global_step()
            build = estimator.model_fn_builder(HParams(), z_size, 0, num_windows=windows)
            spec = build(batches.get_next(), None, tf.estimator.ModeKeys.TRAIN)
            self._loss, self._train = spec.loss, spec.train_op
            self._session = tf.Session()
            self._session.run([tf.global_variables_initializer(), batches.initializer])
        self.run(20)

    def run(self, count):
        """Takes so many steps; returns their wall seconds, and the processor's."""
        start = time.perf_counter(), time.process_time()
        for _ in range(count):
            self._session.run(self._train)
        return time.perf_counter() - start[0], time.process_time() - start[1]


def rates(folder, z_size, windows, steps, runs):
    """Prints how long a step takes, streamed and from memory."""
    from lc_music_vae.encoding import streaming
    from lc_music_vae.training import estimator

    found = found_in(folder, z_size, windows)
    start = time.perf_counter()
    blocks = len(streaming.divided(found.shards).sizes)
    divided = time.perf_counter() - start
    one_batch = estimator.train_input_fn(_first(found, SIZE, folder + "-first"), SIZE, 0)
    memory = Steps(one_batch, z_size, windows)
    stream = Steps(estimator.train_input_fn(found, SIZE, 0, threads=2, one_key=True), z_size, windows)
    times = [[1000 * x / steps for x in one.run(steps)] for _ in range(runs) for one in (memory, stream)]
    (wall, cpu), (wall_stream, cpu_stream) = (map(statistics.median, zip(*times[i::2])) for i in (0, 1))
    print("| streamed | from memory | rate | its processor time | from memory | rate | divided into |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(
        "| %.1f ms a step | %.1f ms | %.2f | %.1f ms | %.1f ms | %.2f | %d blocks in %.1f s |"
        % (wall_stream, wall, wall / wall_stream, cpu_stream, cpu, cpu / cpu_stream, blocks, divided)
    )


def _first(found, windows, folder):
    """Writes the first windows of latents to a folder of their own."""
    import tensorflow.compat.v1 as tf

    os.makedirs(folder)
    path = os.path.join(folder, "first.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record, _ in zip(tf.io.tf_record_iterator(found.shards[0]), range(windows)):
            writer.write(record)
    return found._replace(shards=(path,), num_windows=windows)


def peak(folder, z_size, windows, steps):
    """Trains, reads what a command reads after its last step, and prints the peak of memory after both, in MB."""
    from lc_music_vae.checkpoints.run_json import Settings
    from lc_music_vae.encoding import latents, nearness, song_hashes
    from lc_music_vae.hparams import HParams
    from lc_music_vae.options import Training
    from lc_music_vae.training import estimator

    found = found_in(folder, z_size, windows)
    settings = Settings("lc-cat-mel_2bar_big", "cat-mel_2bar_big", HParams(), False, 0, "auto", "any")
    with tempfile.TemporaryDirectory() as run:
        stretch = estimator.Stretch(0, 0, steps)
        estimator.train(found, settings, Training(num_steps=steps), model_dir=run, steps=stretch)
    trained = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    latents.moments(found.shards)
    latents.own_key(found.shards, 2000)
    song_hashes.read(found.shards)
    nearness.Songs.read(found.shards)
    print(json.dumps([trained, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def losses(folder, z_size):
    """Prints the loss after numbers of steps: shuffled as a whole, streamed, and in order; means over seeds."""
    import tensorflow.compat.v1 as tf

    from benchmarks import random_latents
    from lc_music_vae.encoding import latents, streaming
    from lc_music_vae.training import estimator

    found = random_latents.write(folder, WINDOWS_OF_LOSS, z_size)
    pool = streaming.POOL_BYTES
    given = estimator.train_input_fn

    def in_order(found, size, *_, **__):
        def batches():
            records = tf.data.TFRecordDataset(list(found.shards)).batch(size, drop_remainder=True)
            return records.map(lambda records: latents.parse(records, z_size)).repeat()

        return batches

    print("| windows | %s |" % " | ".join("%d steps" % n for n in STEPS_OF_LOSS))
    print("| --- |" + " --- |" * len(STEPS_OF_LOSS))
    ways = (
        ("shuffled as a whole", 1 << 40, given),
        ("streamed", pool, given),
        ("streamed in pools a quarter as large", pool // 4, given),
        ("in the order of the songs", pool, in_order),
    )
    for name, pool_bytes, input_fn in ways:
        streaming.POOL_BYTES, estimator.train_input_fn = pool_bytes, input_fn
        columns = zip(*[_losses(found, seed) for seed in SEEDS_OF_LOSS])
        means = ["%.1f ± %.1f" % (statistics.mean(x), statistics.stdev(x) / len(x) ** 0.5) for x in columns]
        print("| %s | %s |" % (name, " | ".join(means)))
        sys.stdout.flush()


def _losses(found, seed):
    """Returns the loss of all windows after numbers of steps."""
    from lc_music_vae.checkpoints.run_json import Settings
    from lc_music_vae.hparams import HParams
    from lc_music_vae.options import Training
    from lc_music_vae.training import estimator

    settings = Settings("lc-cat-mel_2bar_big", "cat-mel_2bar_big", HParams(), False, seed, "auto", "any")
    losses, before = [], 0
    with tempfile.TemporaryDirectory() as run:
        for last in STEPS_OF_LOSS:
            stretch = estimator.Stretch(0, before, last)
            estimator.train(found, settings, Training(num_steps=last), model_dir=run, steps=stretch)
            prefix, before = os.path.join(run, "model.ckpt-%d" % last), last
            losses.append(estimator.evaluate(found, settings, prefix)["loss"])
    return losses


def in_a_process(*arguments):
    """Runs a part of this program in a process of its own; returns what it prints."""
    command = [sys.executable, "-W", "ignore", os.path.abspath(__file__), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return done.stdout


def main():
    """Prints three tables."""
    values = dict(argument[2:].split("=") for argument in sys.argv[1:])
    windows, z_size = int(values.get("windows", 400_000)), int(values.get("z_size", 512))
    steps, runs = int(values.get("steps", 200)), int(values.get("runs", 5))
    from benchmarks import random_latents

    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "latents")
        random_latents.write(folder, windows, z_size)
        print(in_a_process("rates", folder, z_size, windows, steps, runs))
        print("| windows | GB | peak MB of %d steps | and of what follows |" % steps)
        print("| --- | --- | --- | --- |")
        sizes = [windows, windows * int(values.get("larger", 4))]
        for count in sizes:
            shutil.rmtree(folder)
            random_latents.write(folder, count, z_size)
            gb = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)) / 1e9
            peaks = json.loads(in_a_process("peak", folder, z_size, count, steps))
            print("| %d | %.1f | %.0f | %.0f |" % (count, gb, *peaks))
            sys.stdout.flush()
        shutil.rmtree(folder)
        if values.get("loss", "yes") == "yes":
            print("\n" + in_a_process("losses", folder, z_size))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if len(sys.argv) > 1 and sys.argv[1][:2] != "--":
        part, folder, *numbers = sys.argv[1:]
        {"rates": rates, "peak": peak, "losses": losses}[part](folder, *map(int, numbers))
    else:
        main()
