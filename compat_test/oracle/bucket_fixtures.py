"""Writes models/deberta/testdata/buckets.json: the buckets of distances that transformers has for DeBERTa.

    python bucket_fixtures.py models/deberta/testdata/buckets.json

Each case has position_buckets and max_relative_positions, how many distances from 0 up were looked at, and the distance at which each bucket begins, with the
bucket. Those of distances below 0 are the same below 0.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

MADE_BY = f"compat_test/oracle/bucket_fixtures.py, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
# The first sizes are those of the published models.
SIZES = [(256, 512), (2, 4), (3, 9), (6, 10), (32, 128), (64, 512), (200, 300), (768, 400)]


def case(buckets, farthest):
    distances = torch.arange(3 * farthest)
    found = make_log_bucket_position(distances, buckets, farthest).long()
    assert torch.equal(make_log_bucket_position(-distances, buckets, farthest).long(), -found)
    starts = [[distance, bucket] for distance, bucket in enumerate(found.tolist()) if distance == 0 or bucket != found[distance - 1]]
    return {"buckets": buckets, "farthest": farthest, "distances": len(found), "starts": starts}


cases = [json.dumps(case(*sizes), separators=(",", ":")) for sizes in SIZES]
Path(sys.argv[1]).write_text('{"made_by": ' + json.dumps(MADE_BY) + ',\n"cases": [\n' + ",\n".join(cases) + "\n]}\n")
