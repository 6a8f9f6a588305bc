"""Writes models/layer/testdata/rope.json: the frequencies and scales of transformers' rotary embeddings.

    python rope_fixtures.py models/layer/testdata/rope.json

Each case has the parameters as a config holds them, the sizes of the model beside them, and for some lengths of a sequence the
inverse frequencies and the factor of cosine and sine.
"""

import json
import sys

import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

HEAD = 16
CASES = {
    "default": {},
    "old name": {"type": "default", "rope_theta": 500000.0},
    "linear": {"rope_type": "linear", "factor": 3.0},
    "linear, old name": {"type": "linear", "factor": 3.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.5},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "yarn, all fields": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8, "beta_fast": 8.0, "beta_slow": 2.0, "mscale": 0.7,
                         "mscale_all_dim": 1.5, "truncate": False},
    "yarn, given scale": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "attention_factor": 1.25},
    "longrope": {"rope_type": "longrope", "original_max_position_embeddings": 16, "short_factor": [1.0 + i / 8 for i in range(8)],
                 "long_factor": [2.0 + i for i in range(8)]},
    "longrope, given factor": {"rope_type": "longrope", "original_max_position_embeddings": 16, "factor": 6.0, "short_factor": [1.5] * 8, "long_factor": [3.0] * 8},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
}


def angles(parameters, length):
    """A fresh embedding each time: transformers' remembers the longest sequence."""
    config = transformers.LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=32, rope_scaling=dict(parameters) or None)
    rope = LlamaRotaryEmbedding(config)
    rope(torch.zeros(1), torch.arange(length)[None])
    return {"length": length, "frequencies": rope.inv_freq.double().tolist(), "scale": float(rope.attention_scaling)}


def main(path):
    cases = [
        {"name": name, "parameters": parameters, "head": HEAD, "max_positions": 32, "angles": [angles(parameters, length) for length in (5, 17, 40)]}
        for name, parameters in CASES.items()
    ]
    text = {"made_by": f"compat_test/oracle/rope_fixtures.py, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", "cases": cases}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(text, file, indent=1)
        file.write("\n")


main(sys.argv[1])
