#!/bin/sh
# Make the virtual environment with exactly the locked versions: tools/environment.sh
set -eu

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed, $("$python" --version) is here. Name another one: make PYTHON=python3.12 ..." >&2
    exit 1
}
echo "making .venv with $("$python" --version) (about a minute the first time)"
if ! "$python" -m venv .venv 2>/dev/null; then
    tools/programs.sh python3-venv
    "$python" -m venv .venv
fi
echo "installing the locked packages"
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
