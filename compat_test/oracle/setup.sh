#!/usr/bin/env bash
# Prints the path of a python that has the packages of requirements.txt, and installs that environment first if need be.
#
#   python=$(compat_test/oracle/setup.sh)
#
# Only the path goes to standard output, progress goes to standard error. The environment lies in
# ${GOPEFT_ORACLE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/oracle}/venv-HASH, HASH from requirements.txt.
# The first run downloads about 6 GB (torch as PyPI has it); later runs answer at once. Needs python3 >= 3.11 with venv.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/requirements.txt
home=${GOPEFT_ORACLE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/gopeft/oracle}
hash=$(sha256sum <"$requirements" | cut -c1-12)
venv=$home/venv-$hash
stamp=$venv/complete # written last: an environment without it is half made

answer() {
  echo "$venv/bin/python"
  exit 0
}
die() {
  echo "setup.sh: $*" >&2
  exit 1
}

[ -e "$stamp" ] && [ -x "$venv/bin/python" ] && answer

base=${PYTHON:-python3}
command -v "$base" >/dev/null || die "$base not found: install Python 3.11 or newer, or name one in PYTHON"
"$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$("$base" --version) is too old, 3.11 or newer is wanted"
"$base" -c 'import ensurepip, venv' 2>/dev/null || die "$base has no venv or ensurepip module (Debian, Ubuntu: install the package python3-venv)"
command -v flock >/dev/null || die "flock not found (Debian, Ubuntu: install the package util-linux)"

mkdir -p "$home"
exec 9>"$home/venv-$hash.lock"
if ! flock -n 9; then
  echo "setup.sh: waiting for another setup.sh that builds $venv" >&2
  flock 9
fi
[ -e "$stamp" ] && [ -x "$venv/bin/python" ] && answer

# An environment cannot be moved once made, so it is built where it will stay.
echo "setup.sh: installing the Python oracle into $venv (about 6 GB, several minutes)" >&2
rm -rf "$venv"
"$base" -m venv "$venv" >&2
"$venv/bin/python" -m pip install --no-cache-dir --requirement "$requirements" >&2
"$venv/bin/python" -c 'import peft, torch, transformers; print("peft", peft.__version__, "transformers", transformers.__version__, "torch", torch.__version__)' >&2
date -u >"$stamp"
answer
