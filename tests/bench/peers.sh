#!/bin/sh
# Makes a virtual environment with the peers that mtlc is measured against, outside the repository, and prints its Python.
# Its folder is $MTLC_PEERS, or mtlc-peers in the user's cache. What is there already is kept.
set -eu
folder="${MTLC_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/mtlc-peers}"
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
# The default index brings CUDA libraries along; PIP_INDEX_URL may name an index with builds for the CPU alone.
"$folder/bin/pip" install --quiet torch numpy safetensors onnx onnxscript onnxruntime efficientnet-lite-pytorch >&2
echo "$folder/bin/python"
