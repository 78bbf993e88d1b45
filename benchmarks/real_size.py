"""Measures the published models at full size: train 10 steps, sample 5, interpolate 5; wall time and peak memory.

The checkpoints have real names, shapes and Adam's slots (1.6 and 2.1 GB), and random weights. The peak memory is
compared with the weights of the half that the work needs. Training may use the size of the encoder's weights plus
700 MB, and sampling the size of the decoder's weights plus 700 MB.

    python benchmarks/real_size.py [folder for the checkpoints, kept for the next time]
"""

import os
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
NAMES = ("cat-mel_2bar_big", "hierdec-mel_16bar")
ALLOWED_MB = 700


def run(*arguments):
    """Runs a script of the checkout, and returns (wall seconds, peak resident memory in MB)."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable] + list(arguments), cwd=REPO)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("failed: %s" % " ".join(arguments))
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def make_checkpoint(name, prefix):
    """Makes the checkpoint in a separate process, so that its memory is free afterwards."""
    code = "from benchmarks.random_checkpoints import save_random_checkpoint as save; save(%r, %r, 0, deviation=0.02)"
    run("-W", "ignore", "-c", code % (name, prefix))


def half_sizes(prefix):
    """Returns the sizes in MB of the encoder's and of the decoder's trained variables."""
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights

    shapes = Weights(finding.find(prefix, "--pretrained_path")).shapes
    sizes = {"encoder": 0.0, "decoder": 0.0}
    for name, shape in shapes.items():
        count = 1
        for dimension in shape:
            count *= dimension
        sizes["encoder" if name.startswith("encoder/") else "decoder"] += count * 4 / 2**20
    return sizes


def main():
    """Prints one row per command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="lc_music_vae_bench")
    song = os.path.join(REPO, "examples", "ode_to_joy.mid")
    print("| config | work | wall s | peak MB | half's weights MB | above them MB | allowed MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    over = 0
    for name in NAMES:
        prefix = os.path.join(folder, name + ".ckpt")
        if not os.path.exists(prefix + ".index"):
            make_checkpoint(name, prefix)
        sizes = half_sizes(prefix)
        run_dir = tempfile.mkdtemp(dir=folder)
        bars = ("1-16", "9-24") if "16bar" in name else ("1-2", "9-10")
        common = ["midime_generate.py", "--run_dir=" + run_dir, "--num_outputs=5", "--log=ERROR"]
        works = [
            (
                "train 10 steps",
                "encoder",
                ["midime_train.py", "--config=lc-" + name, "--examples_path=" + song, "--run_dir=" + run_dir]
                + ["--pretrained_path=" + prefix, "--num_steps=10", "--log=ERROR"],
            ),
            ("sample 5", "decoder", common + ["--mode=sample"]),
            (
                "interpolate 5",
                None,
                common
                + ["--mode=interpolate", "--input_midi_1=" + song, "--input_bars_1=" + bars[0]]
                + ["--input_midi_2=" + song, "--input_bars_2=" + bars[1]],
            ),
        ]
        for work, half, arguments in works:
            seconds, peak = run(*arguments)
            weights = sizes[half] if half else sum(sizes.values())
            over += peak - weights > ALLOWED_MB
            print(
                "| %s | %s | %.1f | %.0f | %.0f | %.0f | %d |"
                % (name, work, seconds, peak, weights, peak - weights, ALLOWED_MB)
            )
            sys.stdout.flush()
    sys.exit("%d rows hold more than allowed" % over if over else 0)


if __name__ == "__main__":
    main()
