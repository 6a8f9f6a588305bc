"""Makes generate/testdata/processors.jsonl: what transformers makes of the scores of a next token.

    python compat_test/oracle/generate_fixtures.py generate/testdata

Each line has the settings, the tokens so far, how many of them were the prompt, the scores, and what the processors and
warpers of transformers' generate leave of them (null: ruled out).
"""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

VOCAB = 40
SETTINGS = [
    {},
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.6},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"min_new_tokens": 5},
    {"forced_eos_token_id": 3, "max_new_tokens": 5},
    {"forced_bos_token_id": 2},
    {"do_sample": True, "top_k": 0},
    {"do_sample": True, "top_k": 5},
    {"do_sample": True, "top_k": 500},
    {"do_sample": True, "temperature": 0.4, "top_k": 12},
    {"do_sample": True, "temperature": 2.5, "top_k": 0, "top_p": 0.7},
    {"do_sample": True, "top_k": 0, "top_p": 0.0},
    {"do_sample": True, "top_k": 9, "top_p": 0.6},
    {"do_sample": True, "top_k": 0, "min_p": 0.2},
    {"do_sample": True, "top_k": 20, "top_p": 0.9, "min_p": 0.3},
    {"do_sample": True, "top_k": 0, "typical_p": 0.3},
    {"do_sample": True, "top_k": 15, "typical_p": 0.8},
    {"do_sample": True, "num_beams": 3, "top_k": 1},
    {"do_sample": True, "num_beams": 3, "top_k": 0, "top_p": 0.1},
    {"do_sample": True, "num_beams": 3, "top_k": 0, "min_p": 0.99},
    {"do_sample": True, "num_beams": 3, "top_k": 0, "typical_p": 0.05},
    {"do_sample": True, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 9, "temperature": 0.8, "top_k": 10, "top_p": 0.9},
]


def processed(settings, ids, prompt, scores, eos):
    config = GenerationConfig(**{**GenerationConfig._get_default_generation_params(), **settings, "eos_token_id": eos})
    config._eos_token_tensor = torch.tensor(eos)
    config.max_length = prompt + settings.get("max_new_tokens", 128)
    model = SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=False), _merge_criteria_processor_list=lambda a, b: a)
    processors = GenerationMixin._get_logits_processor(model, config, input_ids_seq_length=prompt, device="cpu")
    return processors(torch.tensor([ids]), scores[None].clone())[0]


def main(folder):
    torch.manual_seed(7)
    lines = []
    for number, settings in enumerate(SETTINGS):
        prompt = 1 if "forced_bos_token_id" in settings else 4
        for made in (0, 4):
            ids = torch.randint(0, 8, (prompt + made,)).tolist()
            scores = torch.randn(VOCAB) * 3
            eos = [3, 7] if number % 2 else [3]
            after = processed(settings, ids, prompt, scores, eos).tolist()
            lines.append({
                "settings": {**settings, "eos_token_id": eos}, "ids": ids, "prompt": prompt, "scores": scores.tolist(),
                "after": [None if math.isinf(x) else x for x in after],
            })
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "processors.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1])
