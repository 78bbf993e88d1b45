#!/usr/bin/env bash
# Makes $VENV with locked packages, from a Python that really runs. There are two platforms:
#   tf1: Python 3.7 and TensorFlow 1.15 (requirements.txt), which defines the toolkit;
#   tf2: Python 3.11, 3.10 or 3.9 and TensorFlow 2.15 (requirements-tf2.txt).
# $PLATFORM names one; left out, tf1 is taken where a Python 3.7 is found, else tf2.
set -euo pipefail
cd "$(dirname "$0")/.."
platform=${PLATFORM:-}
venv=${VENV:-.venv}
home=${HOME:-/root}

runs() { # runs PYTHON VERSION: a shim on PATH that only prints an error is not a Python
  "$1" -c 'import ctypes, ensurepip, ssl, sys, venv, zlib
sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1] or sys.maxsize < 2**32)' "$2" >/dev/null 2>&1
}

candidates() { # candidates VERSION
  [ -z "${PYTHON:-}" ] || echo "$PYTHON"
  type -aP "python$1" python3 python || true
  ls -d "${PYENV_ROOT:-$home/.pyenv}"/versions/"$1".*/bin/python"$1" \
    "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/cpython-"$1".*/bin/python"$1" \
    ${CONDA_PREFIX:+"$CONDA_PREFIX/bin/python$1"} \
    "$home"/{mini,ana}conda3/{bin,envs/*/bin}/python"$1" \
    "$home"/{mini,mamba}forge*/{bin,envs/*/bin}/python"$1" \
    /opt/conda/{bin,envs/*/bin}/python"$1" 2>/dev/null || true
}

find_python() { # find_python VERSION...: sets $python to the first that runs
  local version candidate
  for version in "$@"; do
    while IFS= read -r candidate; do
      if runs "$candidate" "$version"; then python=$candidate; return; fi
    done < <(candidates "$version")
  done
}

ask_uv() { # ask_uv VERSION: has uv, in a scratch environment, fetch one, and sets $python
  local scratch any
  echo "no Python $1 found here; asking uv for one ..." >&2
  scratch=$(mktemp -d)
  for any in python3 python; do
    if "$any" -m venv "$scratch" >/dev/null 2>&1 &&
      "$scratch/bin/pip" install -q uv >/dev/null 2>&1 &&
      "$scratch/bin/uv" python install -q "$1" >/dev/null 2>&1; then
      python=$("$scratch/bin/uv" python find "$1" 2>/dev/null) || true
      break
    fi
  done
  rm -rf "$scratch"
  runs "$python" "$1" || python=
}

python= why=
[ "$platform" = tf2 ] || find_python 3.7
if [ -n "$python" ]; then
  platform=tf1
elif [ "$platform" != tf1 ]; then
  why=$([ -n "$platform" ] && echo "as asked" || echo "no Python 3.7 found")
  find_python 3.11 3.10 3.9
  [ -n "$python" ] && platform=tf2
fi
if [ -z "$python" ]; then
  if [ "$platform" = tf2 ]; then ask_uv 3.11; else platform=tf1; ask_uv 3.7; fi
fi
if [ -z "$python" ]; then
  cat >&2 <<'NONE'
bootstrap: error: no Python that runs was found: TensorFlow 1.15 needs 3.7, TensorFlow 2.15 needs 3.9, 3.10 or 3.11.
Get one with `uv python install 3.11`, `pyenv install 3.11` or `apt install python3 python3-venv` (Debian 12),
then run make again (or name it: `make PYTHON=/path/to/python test`).
NONE
  exit 1
fi

if [ "$platform" = tf2 ]; then list=requirements-tf2.txt name="TensorFlow 2.15"; else list=requirements.txt name="TensorFlow 1.15"; fi
echo "setting up $venv with $name on $("$python" --version 2>&1) ($python)${why:+, $why}; about a minute ..."
rm -rf "$venv"
"$python" -m venv "$venv"
# --no-deps: the lists are complete, and magenta's metadata asks for packages that cannot be installed.
if ! "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
  -r "$list" -r requirements-dev.txt >"$venv/pip.log" 2>&1; then
  tail -n 5 "$venv/pip.log" >&2
  echo "bootstrap: error: pip could not install the locked packages; all it said is in $venv/pip.log" >&2
  exit 1
fi
# The package itself, so that notebooks and scripts find it from any folder; edits count without installing it again.
if ! "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable . \
  >>"$venv/pip.log" 2>&1; then
  tail -n 5 "$venv/pip.log" >&2
  echo "bootstrap: error: pip could not install the package itself; all it said is in $venv/pip.log" >&2
  exit 1
fi
"$venv/bin/python" -W ignore -c 'import note_seq, pytest, tensorflow' >"$venv/import.log" 2>&1 || {
  tail -n 1 "$venv/import.log" >&2
  echo "bootstrap: error: the packages do not import; remove $venv and try again" >&2
  exit 1
}
touch "$venv/stamp"
