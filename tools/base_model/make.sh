#!/usr/bin/env bash
# make.sh PYTHON: from music21's corpus, or for CONFIG=cat-drums_2bar_small from made drums, to weights and their record
# in $OUT. Each stage that is done is not done again. $ABC is a folder of more ABC files; $TRAIN holds flags of the
# training.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
config=${CONFIG:-cat-mel_2bar_small}
songs=(--songs=tests/songs)
if [ "$config" = cat-drums_2bar_small ]; then
  out=${OUT:-build/drum_model}
  songs=()
  mkdir -p "$out"
  [ -e "$out/windows.npz" ] || "$python" -m tools.base_model.drums "$out/windows.npz"
else
  out=${OUT:-build/base_model}
  mkdir -p "$out"
  if [ ! -e "$out/melodies.jsonl" ]; then
    if [ ! -e .venv-music21/done ]; then
      "${MUSIC21_PYTHON:-python3}" -m venv .venv-music21
      .venv-music21/bin/python -m pip install -q -r tools/base_model/requirements.txt
      touch .venv-music21/done
    fi
    .venv-music21/bin/python tools/base_model/corpus.py "$out/melodies.jsonl" ${ABC:+"--abc=$ABC"}
  fi
  [ -e "$out/windows.npz" ] || "$python" -W ignore -m tools.base_model.windows "$out/melodies.jsonl" "$out/windows.npz"
fi
# shellcheck disable=SC2086  # several flags
"$python" -W ignore -m tools.base_model.train "$out/windows.npz" "$out/training" "--config=$config" ${TRAIN:-}
"$python" -W ignore -m tools.base_model.evaluate "$out/windows.npz" "$out/training/$config.tar" "--config=$config" \
  ${songs[@]+"${songs[@]}"}
