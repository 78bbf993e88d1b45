#!/usr/bin/env bash
# Makes .venv with the locked packages, from a Python 3.7 that really runs.
# TensorFlow 1.15 exists for no newer Python.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

runs() { # a shim on PATH that only prints an error is not a Python
  "$1" -c 'import ctypes, ensurepip, ssl, sys, venv, zlib
sys.exit(sys.version_info[:2] != (3, 7) or sys.maxsize < 2**32)' >/dev/null 2>&1
}

candidates() {
  [ -z "${PYTHON:-}" ] || echo "$PYTHON"
  type -aP python3.7 python3 python || true
  local home=${HOME:-/root}
  ls -d "${PYENV_ROOT:-$home/.pyenv}"/versions/3.7*/bin/python3.7 \
    "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/cpython-3.7*/bin/python3.7 \
    ${CONDA_PREFIX:+"$CONDA_PREFIX/bin/python3.7"} \
    "$home"/{mini,ana}conda3/{bin,envs/*/bin}/python3.7 \
    "$home"/{mini,mamba}forge*/{bin,envs/*/bin}/python3.7 \
    /opt/conda/{bin,envs/*/bin}/python3.7 2>/dev/null || true
}

from_uv() { # asks uv, from a scratch environment, to fetch a Python 3.7
  local scratch any
  scratch=$(mktemp -d)
  for any in python3 python; do
    "$any" -m venv "$scratch" >/dev/null 2>&1 &&
      "$scratch/bin/pip" install -q uv >/dev/null 2>&1 &&
      "$scratch/bin/uv" python install -q 3.7 >/dev/null 2>&1 &&
      "$scratch/bin/uv" python find 3.7 2>/dev/null && break
  done
  rm -rf "$scratch"
}

python=
while IFS= read -r candidate; do
  if runs "$candidate"; then python=$candidate; break; fi
done < <(candidates)
[ -n "$python" ] || { echo "no Python 3.7 found here; asking uv for one ..."; python=$(from_uv); } >&2
if [ -z "$python" ] || ! runs "$python"; then
  cat >&2 <<'NONE'
bootstrap: error: TensorFlow 1.15 needs Python 3.7, and none that runs was found.
Get one with `uv python install 3.7`, `pyenv install 3.7.17` or `conda create -n py37 python=3.7`,
then run make again (or name it: `make PYTHON=/path/to/python3.7 test`).
NONE
  exit 1
fi

echo "setting up $venv with $python ($("$python" --version 2>&1)); about a minute ..."
rm -rf "$venv"
"$python" -m venv "$venv"
# --no-deps: the two files are complete, and magenta's metadata asks for packages that cannot be installed.
if ! "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
  -r requirements.txt -r requirements-dev.txt >"$venv/pip.log" 2>&1; then
  tail -n 5 "$venv/pip.log" >&2
  echo "bootstrap: error: pip could not install the locked packages; all it said is in $venv/pip.log" >&2
  exit 1
fi
"$venv/bin/python" -W ignore -c 'import note_seq, pytest, tensorflow' >"$venv/import.log" 2>&1 || {
  tail -n 1 "$venv/import.log" >&2
  echo "bootstrap: error: the packages do not import; remove $venv and try again" >&2
  exit 1
}
touch "$venv/stamp"
