#!/usr/bin/env bash
# Prints a directory that holds all-MiniLM-L6-v2 as a plain model directory, and fetches it first if need be.
#
#   model=$(compat_test/oracle/minilm.sh)
#
# It lies in ${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/models/all-MiniLM-L6-v2.
set -euo pipefail

dir=${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/models/all-MiniLM-L6-v2
"$(dirname "${BASH_SOURCE[0]}")/../../scripts/get-minilm.sh" "$dir" >&2
echo "$dir"
