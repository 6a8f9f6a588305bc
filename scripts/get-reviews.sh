#!/usr/bin/env bash
# get-reviews.sh DIR: puts a real, labelled text data set into DIR: train.tsv and dev.tsv, with the columns sentence and label.
#
# The data are 10,604 sentences of film reviews with the mean of the sentiment ratings (-4 to 4) that at least twenty people
# gave each (Hutto & Gilbert, VADER, ICWSM 2014; MIT licence), from the PyPI package vaderSentiment 0.5. A sentence rated above 0
# is "positive", below 0 "negative"; every tenth one goes to dev.tsv. Needs python3 with pip. Does nothing where DIR is complete.
set -euo pipefail

dir=${1:?usage: get-reviews.sh DIR}
[ -f "$dir/dev.tsv" ] && [ -f "$dir/train.tsv" ] && exit 0
mkdir -p "$dir"
work=$(mktemp -d "$dir/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "downloading the film review sentences (PyPI vaderSentiment 0.5, 3 MB)" >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$work" vaderSentiment==0.5 >&2

python3 - "$work" <<'PYTHON'
import csv, io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
package = zipfile.ZipFile(next(work.glob("vaderSentiment-0.5*.zip")))
inner = next(n for n in package.namelist() if n.endswith("hutto_ICWSM_2014.tar.gz"))
data = tarfile.open(fileobj=io.BytesIO(package.read(inner)))
member = next(m for m in data.getmembers() if m.name.endswith("movieReviewSnippets_GroundTruth.txt"))
files = {name: open(work / name, "w", encoding="utf-8", newline="") for name in ("train.tsv", "dev.tsv")}
writers = {n: csv.writer(f, delimiter="\t", lineterminator="\n") for n, f in files.items()}
for w in writers.values():
    w.writerow(["sentence", "label"])
for number, line in enumerate(data.extractfile(member).read().decode("utf-8", "replace").splitlines()):
    fields = line.split("\t")
    if len(fields) != 3 or float(fields[1]) == 0:
        continue
    label = "positive" if float(fields[1]) > 0 else "negative"
    writers["dev.tsv" if number % 10 == 0 else "train.tsv"].writerow([" ".join(fields[2].split()), label])
for f in files.values():
    f.close()
PYTHON
mv "$work/train.tsv" "$dir/train.tsv"
mv "$work/dev.tsv" "$dir/dev.tsv"
