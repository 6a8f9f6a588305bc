#!/usr/bin/env bash
# reviews.sh DIR: trains a prefix adapter for MiniLM-L6 on film review sentences and predicts with it. See `make reviews`.
set -euo pipefail

dir=${1:?usage: reviews.sh DIR}
base=$dir/all-MiniLM-L6-v2
adapter=$dir/reviews-adapter

show() { echo "\$ $*" >&2; "$@"; }

if [ ! -f "$adapter/adapter_config.json" ]; then
  show bin/gopeft train --base "$base" --data "$dir/reviews/train.tsv" --dev "$dir/reviews/dev.tsv" \
    --peft-type PREFIX_TUNING --num-train-epochs 1 --output "$adapter"
fi
show bin/gopeft eval --base "$base" --adapter "$adapter" --data "$dir/reviews/dev.tsv"
printf '%s\n' 'An utterly charming film, warm and funny from start to finish.' 'Two hours of my life that I will never get back.' |
  show bin/gopeft predict --base "$base" --adapter "$adapter"
