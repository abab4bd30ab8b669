#!/usr/bin/env bash
# Everything that needs a GPU, within ten minutes: tests/gpu/session.sh [FOLDER]
#
# Leaves session.json (what passed, figures) and session.txt (all output) in FOLDER, else in $OUT,
# else in ./gpu-session. Ends with 0 when every part passed, with 1 otherwise. $GAUSSIANSPEECH_PYTHON
# is a Python with the project's dependencies and gsplat; without it .venv-gpu is made, which takes
# minutes of its own and the internet.
set -euo pipefail
out=${1:-${OUT:-gpu-session}}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${GAUSSIANSPEECH_PYTHON:-}
if [ -z "$python" ]; then
    python=.venv-gpu/bin/python
    [ -x "$python" ] || python3.11 -m venv .venv-gpu
    "$python" -m pip install -q -c constraints.txt -e ".[dev,english,training]"
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
exec "$python" tests/gpu/session.py "$out"
