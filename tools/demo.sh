#!/usr/bin/env bash
# The main job on real input: learn the song in examples/, then make music from what was learned.
set -eu
cd "$(dirname "$0")/.."
python=$1
out=${OUT:-demo}
song=examples/ode_to_joy.mid
step() { echo "\$ python $*"; "$python" "$@"; echo; }

step midime_train.py --config=lc-cat-mel_2bar_small --examples_path=$song --run_dir="$out"
step midime_generate.py --run_dir="$out" --mode=sample --num_outputs=8 --seed=1
step midime_generate.py --run_dir="$out" --mode=interpolate --num_outputs=8 --seed=1 \
  --input_midi_1=$song --input_bars_1=1-2 --input_midi_2=$song --input_bars_2=9-10
step midime_generate.py --run_dir="$out" --mode=reconstruct --input_midi_1=$song --seed=1
echo "The music is in $out/generated:"
ls "$out/generated"
