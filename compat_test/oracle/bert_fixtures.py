"""Makes models/bert/testdata/decoder.safetensors: what transformers makes of the decoder of a masked LM, tied or not.

    $(compat_test/oracle/setup.sh) compat_test/oracle/bert_fixtures.py

The base is the MASKED_LM golden. The file holds a decoder's weight and bias that are no tied ones, and `logits.CASE`, the logits of the rows of
the two sequences in INPUTS. A random generator with a fixed seed draws the decoder: two runs write the same bytes.
"""

import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "compat_test/testdata/goldens/MASKED_LM/base"
OUT = ROOT / "models/bert/testdata/decoder.safetensors"
HEAD = "cls.predictions."
INPUTS = [{"input_ids": [[1, 2, 3, 4]], "token_type_ids": [[0, 0, 1, 1]]}, {"input_ids": [[5]]}]  # those of bert_test.go


def main():
    base = load_file(BASE / "model.safetensors")
    vocabulary, hidden = base["bert.embeddings.word_embeddings.weight"].shape
    generator = torch.Generator().manual_seed(7)
    weight = {"decoder.weight": torch.randn(vocabulary, hidden, generator=generator)}
    bias = {"decoder.bias": torch.randn(vocabulary, generator=generator)}
    cases = {  # config, tensors added, tensors left out
        "tied": ({}, {}, []),
        "own weight": ({}, weight, []),
        "own bias": ({}, bias, []),
        "only the decoder's bias": ({}, bias, ["bias"]),
        "untied": ({"tie_word_embeddings": False}, weight | bias, []),
    }
    out = weight | bias
    for name, (config, added, left_out) in cases.items():
        tensors = base | {HEAD + key: value for key, value in added.items()}
        for key in left_out:
            del tensors[HEAD + key]
        out["logits." + name] = logits(config, tensors)
    OUT.parent.mkdir(exist_ok=True)
    save_file(out, OUT)


@torch.no_grad()
def logits(config, tensors):
    with tempfile.TemporaryDirectory() as folder:
        config = json.loads((BASE / "config.json").read_text()) | config
        (Path(folder) / "config.json").write_text(json.dumps(config))
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        model, report = BertForMaskedLM.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise AssertionError(report)
    model.eval()
    return torch.cat([model(**{key: torch.tensor(value) for key, value in row.items()}).logits[0] for row in INPUTS])


if __name__ == "__main__":
    main()
