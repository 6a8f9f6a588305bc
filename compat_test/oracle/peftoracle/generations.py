"""generate: what transformers' or PEFT's generate answers to one prompt after the other.

Input, one prompt a line: {"input_ids": [...], ...}; everything else are settings of GenerationConfig. Special tokens that are not
given are those of the base. Output, a line a prompt: {"sequences": [[...], ...], "scores": [...]}: the ids without the prompt
(of an encoder-decoder: without the token that they begin with), up to the end token, which is there; and the scores of a beam search.
"""

import torch

from . import forwards, models


def generate(args):
    model = forwards.load(args)
    models.write_jsonl(args.output, [answer(model, example) for example in models.read_jsonl(args.input)])


@torch.no_grad()
def answer(model, example):
    settings = {key: value for key, value in example.items() if key != "input_ids"}
    ids = torch.tensor([example["input_ids"]])
    if forwards.is_multitask(model):
        settings["task_ids"] = torch.tensor([settings.get("task_ids", 0)])
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), return_dict_in_generate=True, output_scores=True, **settings)
    start = 1 if model.config.is_encoder_decoder else ids.shape[1]
    ends = settings.get("eos_token_id", model.generation_config.eos_token_id)
    ends = ends if isinstance(ends, list) else [ends]
    scores = getattr(out, "sequences_scores", None)
    return {
        "sequences": [until(sequence[start:].tolist(), ends) for sequence in out.sequences],
        "scores": [] if scores is None else scores.double().tolist(),
    }


def until(ids, ends):
    """The ids up to the first end token: what follows is padding."""
    for i, token in enumerate(ids):
        if token in ends:
            return ids[: i + 1]
    return ids
