#!/usr/bin/env bash
# Prints a directory that holds SmolLM2-135M-Instruct as a plain model directory, and makes it first if need be.
#
#   model=$(compat_test/oracle/smollm2.sh)
#
# The GGUF file, which gopeft reads as it is, lies in ${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/models/SmolLM2-135M-Instruct-GGUF;
# beside it, in SmolLM2-135M-Instruct, what transformers makes of it: config, dequantised weights (float32, 540 MB), tokenizer.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
models=${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/models
gguf=$models/SmolLM2-135M-Instruct-GGUF
dir=$models/SmolLM2-135M-Instruct
"$here/../../scripts/get-smollm2.sh" "$gguf" >&2
if [ ! -d "$dir" ]; then
  work=$(mktemp -d "$models/.smollm2-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python=$("$here/setup.sh")
  "$python" - "$gguf" "$work" >&2 <<'PYTHON'
import pathlib, sys, transformers

gguf, out = sys.argv[1:]
name = next(pathlib.Path(gguf).glob("*.gguf")).name
dequantised = transformers.AutoModelForCausalLM.from_pretrained(gguf, gguf_file=name)
plain = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(gguf, gguf_file=name))
plain.load_state_dict(dequantised.state_dict())
plain.save_pretrained(out)
transformers.AutoTokenizer.from_pretrained(gguf, gguf_file=name).save_pretrained(out)
PYTHON
  chmod 755 "$work"
  mv "$work" "$dir"
fi
echo "$dir"
