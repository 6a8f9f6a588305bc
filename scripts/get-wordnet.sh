#!/usr/bin/env bash
# get-wordnet.sh DIR: puts the data files of WordNet 3.0 (data.noun and its siblings, with their licence) into DIR.
#
# They are those of the Debian package wordnet-base, 6.5 MB, which apt-get downloads; nothing is installed. Does nothing where
# DIR is complete.
set -euo pipefail

dir=${1:?usage: get-wordnet.sh DIR}
[ -f "$dir/data.noun" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
  echo "get-wordnet.sh: apt-get and dpkg-deb are needed; elsewhere put the files of WordNet 3.0's dict folder into $dir" >&2
  exit 1
}
mkdir -p "$dir"
work=$(mktemp -d "$dir/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download --quiet wordnet-base >&2 && dpkg-deb --extract wordnet-base_*.deb .)
for name in adj adv verb noun; do
  mv "$work/usr/share/wordnet/data.$name" "$dir/data.$name"
done
