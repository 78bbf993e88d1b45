"""Compares the toolkit's time and memory with other programs for the same work, and with the machine's limits.

Each row is a ratio of medians, measured alternately in one run. The checkpoint has the real names, shapes and Adam's
slots of cat-mel_2bar_big, and random weights. It takes about ten minutes on two cores. No other program should use
them during that time.

    python benchmarks/side_by_side.py [folder for the checkpoint, kept for the next time]
"""

import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
NAME = "cat-mel_2bar_big"
SONG = os.path.join(REPO, "examples", "ode_to_joy.mid")
PY = [sys.executable, "-W", "ignore"]
MAGENTA = PY + ["-m", "magenta.models.music_vae.music_vae_generate", "--config=" + NAME, "--log=ERROR"]
REPEATS = 3


def seconds(command, cache=None, status=0):
    """Runs a command and returns its wall seconds."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", LC_MUSIC_VAE_CACHE=cache or os.environ["BENCH_CACHE"])
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=REPO, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode != status:
        sys.exit("failed: %s\n%s" % (" ".join(command), done.stderr.decode()[-2000:]))
    return time.perf_counter() - start


def alternate(ours, theirs, repeats=REPEATS):
    """Returns the medians of two functions that return seconds. They are called alternately."""
    both = [(ours(), theirs()) for _ in range(repeats)]
    return tuple(map(statistics.median, zip(*both)))


def row(what, against, ours, theirs, target, unit="s"):
    """Prints a row of the table."""
    figures = "%.2f %s, %.2f %s" % (ours, unit, theirs, unit)
    print("| %s | %s | %s | %.2f | %s |" % (what, against, figures, ours / theirs, target))
    sys.stdout.flush()


def whole_processes(folder, prefix):
    """Prints the rows that start processes."""
    run_dir = os.path.join(folder, "run")
    shutil.rmtree(run_dir, ignore_errors=True)
    train = PY + ["midime_train.py", "--config=lc-" + NAME, "--examples_path=" + SONG, "--pretrained_path=" + prefix]
    train += ["--hparams=batch_size=32", "--log=ERROR"]

    def first():
        for kept in (run_dir, os.path.join(os.environ["BENCH_CACHE"], "fingerprints")):
            shutil.rmtree(kept, ignore_errors=True)
        return seconds(train + ["--run_dir=" + run_dir, "--num_steps=200"])

    def in_the_loop():
        with tempfile.TemporaryDirectory() as scratch:
            return seconds(PY + ["benchmarks/in_the_loop.py", SONG, prefix, scratch])

    def second():
        bundle, checkpoints = os.path.join(run_dir, "lc-%s.tar" % NAME), os.path.join(run_dir, "train")
        os.remove(bundle)
        shutil.rmtree(checkpoints)
        return seconds(train + ["--run_dir=" + run_dir, "--num_steps=200"])

    ours, theirs = alternate(first, in_the_loop, 1)
    row("personalise: 200 steps of 32 windows (once)", "encoder in the loop", ours, theirs, "1/15")
    again, ours = reversed(alternate(first, second))
    row("the same, its latents kept", "the first time", again, ours, "0.5")

    out = os.path.join(folder, "out")
    sample = PY + ["midime_generate.py", "--run_dir=" + run_dir, "--output_dir=" + out, "--log=ERROR", "--seed=1"]

    def generate(n, *more, cache=None):
        shutil.rmtree(out, ignore_errors=True)
        return seconds(sample + ["--num_outputs=%d" % n] + list(more), cache)

    def magenta(n, checkpoint):
        shutil.rmtree(out, ignore_errors=True)
        flags = ["--mode=sample", "--num_outputs=%d" % n, "--checkpoint_file=" + checkpoint, "--output_dir=" + out]
        return seconds(MAGENTA + flags)

    tar = os.path.join(folder, NAME + ".tar")
    if not os.path.exists(tar):
        with tarfile.open(tar, "w") as bundle:
            for suffix in (".index", ".data-00000-of-00001"):
                bundle.add(prefix + suffix, NAME + ".ckpt" + suffix)
    flag = "--vae_checkpoint_file=" + tar

    def from_new_tar():
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            return generate(5, flag, cache=cache)

    row("sample 5", "magenta", *alternate(lambda: generate(5), lambda: magenta(5, prefix)), "0.6")
    row("sample 64", "magenta", *alternate(lambda: generate(64), lambda: magenta(64, prefix)), "0.3")
    row("sample 5 from .tar, first time", "magenta from .tar", *alternate(from_new_tar, lambda: magenta(5, tar)), "1.0")
    generate(5, flag)
    row(
        "sample 5 from .tar, later",
        "magenta from .tar",
        *alternate(lambda: generate(5, flag), lambda: magenta(5, tar)),
        "0.4",
    )
    for what, arguments, status in (("--help", "--help", 0), ("a wrong flag", "--modus=sample", 1)):
        ours = lambda arguments=arguments, status=status: seconds(PY + ["midime_generate.py", arguments], status=status)  # noqa: E731
        theirs = lambda arguments=arguments: seconds(MAGENTA + [arguments], status=1)  # noqa: E731
        row(what, "magenta", *alternate(ours, theirs), "0.1")
    peak(sample, prefix)


def peak(sample, prefix):
    """Prints the row for memory."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    done = subprocess.run(PY + ["-c", code] + sample, cwd=REPO, stdout=subprocess.PIPE, check=True)
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights

    shapes = Weights(finding.find(prefix, "checkpoint")).shapes
    weights = sum(4 * product(shape) for name, shape in shapes.items() if not name.startswith("encoder/")) / 2**20
    row("peak memory of sample", "decoder's weights + 600 MB", float(done.stdout), weights + 600, "1.0", "MB")


def product(shape):
    """Returns the number of elements of a shape."""
    count = 1
    for size in shape:
        count *= size
    return count


def median_of(run, repeats=5):
    """Returns the median seconds of a function, after one call that is not measured."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_process(prefix):
    """Prints the rows that run in one process, compared with the machine's limits."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from lc_music_vae.system import light_imports

    light_imports.install()  # as in the commands
    start = time.process_time()
    from lc_music_vae import trained_model  # noqa: F401 - the import time is measured

    imports = time.process_time() - start
    code = "import time, tensorflow; a = time.process_time(); import note_seq; print(time.process_time() - a)"
    note_seq = float(
        subprocess.run(PY + ["-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    )
    row("imports beyond TensorFlow (CPU time)", "import note_seq", imports, note_seq, "1.0")
    from lc_music_vae import data
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.hparams import HParams
    from lc_music_vae.models import music_vae
    from lc_music_vae.music import examples
    from lc_music_vae.training import estimator

    rng = np.random.RandomState(0)

    def rate(n, k, m):
        """Returns sgemm's GFLOP/s on [n, k] times [k, m]."""
        with tf.Graph().as_default(), tf.Session() as session:
            a, b = (tf.Variable(rng.standard_normal(s).astype(np.float32)) for s in ((n, k), (k, m)))
            product = tf.matmul(a, b).op
            session.run(tf.global_variables_initializer())
            return 2 * n * k * m / median_of(lambda: session.run(product), 20) / 1e9

    weights = Weights(finding.find(prefix, "checkpoint"))
    converter = data.WindowConverter(NAME)
    windows = converter.windows(converter.score(next(examples.read(SONG))))
    inputs, lengths = ([getattr(w, key) for w in windows] * 24 for key in ("inputs", "length"))
    encoder = music_vae.Encoder(NAME, weights)
    took = median_of(lambda: encoder.encode([x[0] for x in inputs[:256]], lengths[:256]), 3)
    encoder.close()
    work = 256 * 32 * 2 * 2 * (90 + 2048) * 8192 / 1e9
    row("encode 256 windows", "sgemm on its matrix", work / took, rate(256, 90 + 2048, 8192), ">= 0.75", "GFLOP/s")

    sizes = [512, 1024, 256, 64, 8, 4, 64, 256, 1024, 512]
    layers = [(a, b) for a, b in zip(sizes, sizes[1:]) if (a, b) != (8, 4)]
    work = sum(6 * 512 * a * b for a, b in layers) - 2 * 512 * 512 * 1024  # z itself needs no gradient
    with tf.Graph().as_default(), tf.Session() as session:
        constant = {"mean": rng.standard_normal((512, 1, 512)), "scale": np.ones((512, 1, 512))}
        features = {key: tf.Variable(value.astype(np.float32), trainable=False) for key, value in constant.items()}
        features["num_transpositions"] = tf.ones([512], tf.int64)
        spec = estimator.model_fn_builder(HParams(), 512, 0)(features, None, tf.estimator.ModeKeys.TRAIN)
        session.run(tf.global_variables_initializer())
        took = median_of(lambda: session.run(spec.train_op), 50)
    row(
        "training step, 512 windows",
        "sgemm, 512 x 1024 x 512",
        work / took / 1e9,
        rate(512, 1024, 512),
        ">= 0.5",
        "GFLOP/s",
    )

    keys = np.arange(64)[:, np.newaxis]  # of the decoder's noise
    decoder = music_vae.Decoder(NAME, weights, 5)
    took = median_of(lambda: decoder.decode(rng.standard_normal((5, 512)), 0.5, keys[:5]), 5)
    decoder.close()
    streamed = sum(4 * product(s) for n, s in weights.shapes.items() if not n.startswith("encoder/")) * 32
    with tf.Graph().as_default(), tf.Session() as session:
        matrix, vector = (tf.Variable(np.ones(s, np.float32)) for s in ((4096, 8192), (1, 4096)))
        streaming = tf.matmul(vector, matrix).op
        session.run(tf.global_variables_initializer())
        per_byte = median_of(lambda: session.run(streaming), 20) / (4 * 4096 * 8192)
    row("decode one batch of 5", "streaming its weights 32 times", took, streamed * per_byte, "1.5")

    decoder = music_vae.Decoder(NAME, weights, 64)
    took = median_of(lambda: decoder.decode(rng.standard_normal((64, 512)), 0.5, keys), 3)
    decoder.close()
    work = 32 * 2 * 64 * (90 + 512 + 2048 + 2 * 4096) * 8192 / 1e9
    row("decode one batch of 64", "its products by sgemm", took, work / rate(64, 4096, 8192), "1.5")


def main():
    """Prints the table."""
    if sys.argv[1:2] == ["--in-process"]:
        in_process(sys.argv[2])
        return
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lc_music_vae_bench")
    os.environ["BENCH_CACHE"] = os.path.join(folder, "cache")
    prefix = os.path.join(folder, NAME + ".ckpt")
    if not os.path.exists(prefix + ".index"):
        code = "from benchmarks.random_checkpoints import save_random_checkpoint as s; s(%r, %r, 0, deviation=0.02)"
        seconds(PY + ["-c", code % (NAME, prefix)])
    print("| what | against | figures | ratio | target |")
    print("| --- | --- | --- | --- | --- |")
    sys.stdout.flush()
    subprocess.run(PY + [__file__, "--in-process", prefix], cwd=REPO, stderr=subprocess.DEVNULL, check=True)
    whole_processes(folder, prefix)


if __name__ == "__main__":
    main()
