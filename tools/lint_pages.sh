#!/usr/bin/env bash
# Lints the JavaScript of the pages by ESLint, which npm puts into build/eslint the first time.
set -eu
cd "$(dirname "$0")/.."
eslint=build/eslint/node_modules/.bin/eslint
test -x $eslint || npm install --silent --no-audit --no-fund --prefix build/eslint eslint@9.39.1 @eslint/js@9.39.1
cp tools/eslint.config.mjs build/eslint/
$eslint --config build/eslint/eslint.config.mjs --no-config-lookup lc_music_vae/showing/play/*.js && echo "ESLint: no complaint"
