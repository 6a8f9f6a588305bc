"""seq2seq-goldens: tiny encoder-decoders, adapters on them, and the numbers transformers and PEFT get.

    DIR/CASE/base/             the model
    DIR/CASE/input.jsonl       sequences with labels, but for TOKEN_CLS, where a prompt would change them
    DIR/CASE/forward.jsonl     its outputs and losses
    DIR/CASE/dropout.jsonl     a line for each dropout field of the config: the outputs for the first sequence in training, when that dropout
                               drops all but surely everything and the others nothing; not for T5, whose one field is everywhere
    DIR/CASE/METHOD/           an adapter directory without its model card, as PEFT saved it
    DIR/CASE/METHOD.jsonl      the outputs and losses with it
"""

import json
import random
from pathlib import Path

import transformers

from . import encoders, forwards, models

VOCABULARY, VIRTUAL_TOKENS, LABELS = 31, 3, 3
SIZES = f"--hidden 12 --heads 2 --vocab {VOCABULARY} --max-positions 18 --layers 2".split()
T5 = dict(d_ff=20, d_kv=6, num_decoder_layers=2, relative_attention_num_buckets=8, relative_attention_max_distance=9, decoder_start_token_id=0)
BART = dict(decoder_layers=2, encoder_ffn_dim=20, decoder_ffn_dim=16, decoder_attention_heads=2, dropout=0.0)
CASES = {  # name: model_type, further arguments of make-base, fields of config.json, methods[, task]
    "t5": ("t5", [], T5, ["prompt", "prefix", "multitask", "lora"]),
    "mt5": ("mt5", ["--untied"], T5, ["cartridge"]),
    "bart": ("bart", [], BART | dict(scale_embedding=True), ["ptuning-mlp", "prefix", "multitask", "lora"]),
    "mbart": ("mbart", [], BART, []),
    "pegasus": ("pegasus", [], BART | dict(scale_embedding=True), ["prompt"]),
    "t5-classifier": ("t5", [], T5, ["lora"], "SEQ_CLS"),
    "t5-tagger": ("t5", [], T5, ["ptuning-mlp", "lora"], "TOKEN_CLS"),
    "bart-classifier": ("bart", [], BART, ["lora"], "SEQ_CLS"),
    "mbart-answers": ("mbart", [], BART, ["prompt"], "QUESTION_ANS"),
}
ENDS = {"t5": 1, "bart": 2}  # where classifiers of sequences read the decoder
# Patterns, since PEFT writes lists of names in a random order.
LORA = {"t5": r".*\.(q|v|wo)", "bart": r".*\.(q_proj|v_proj|fc1)", "t5-classifier": r".*\.(q|out_proj)", "t5-tagger": r".*\.q", "bart-classifier": r".*\.v_proj"}
SAVED = {"bart-classifier": ["classification_head"]}  # heads that PEFT leaves alone otherwise


def seq2seq_goldens(args):
    for number, name in enumerate(CASES):
        make(args.call, Path(args.dir) / name, name, seed=args.seed + number)


def make(call, folder, name, seed):
    kind, extra, fields, methods, task = (*CASES[name], "SEQ_2_SEQ_LM")[:5]
    base, rng = folder / "base", random.Random(seed)
    call("make-base", str(base), "--seed", str(seed), "--arch", kind, *SIZES, *extra, "--task", task, "--num-labels", str(2 if task == "QUESTION_ANS" else LABELS), "--set", json.dumps(fields))
    (base / "generation_config.json").unlink(missing_ok=True)
    inputs = [example(task, kind, *lengths, rng) for lengths in ((6, 4), (1, 2), (11, 5))]
    models.write_jsonl(folder / "input.jsonl", inputs)
    model = ["--base", str(base), "--task", task, "--input", str(folder / "input.jsonl")]
    call("forward", *model, "--output", str(folder / "forward.jsonl"))
    if kind not in ("t5", "mt5") and task == "SEQ_2_SEQ_LM":
        models.write_jsonl(folder / "dropout.jsonl", dropped(base, inputs[0]))
    for method in methods:
        make_method(call, folder, name, method, model)


def make_method(call, folder, name, method, model):
    out = folder / method
    config = {"r": 2, "lora_alpha": 3, "target_modules": LORA[name], "modules_to_save": SAVED.get(name)} if method == "lora" else {}
    call("make-adapter", *model[:4], "--method", method, "--out", str(out), "--base-name", "tiny-" + name, "--n", str(VIRTUAL_TOKENS), "--config", json.dumps(config))
    (out / "README.md").unlink()
    if method == "multitask":
        model = [*model[:-1], str(folder / "tasks.jsonl")]
        models.write_jsonl(folder / "tasks.jsonl", [row | {"task_ids": i % 2} for i, row in enumerate(models.read_jsonl(folder / "input.jsonl"))])
    call("forward", *model, "--adapter", str(out), "--output", str(folder / f"{method}.jsonl"))


def example(task, kind, source, target, rng):
    if task == "SEQ_2_SEQ_LM":
        labels = [rng.randrange(2, VOCABULARY) for _ in range(target)]
        if target > 4:
            labels[1] = -100
        return {"input_ids": [rng.randrange(VOCABULARY) for _ in range(source)], "labels": labels}
    ids = [rng.randrange(VOCABULARY) for _ in range(source)]
    if task == "SEQ_CLS":
        return {"input_ids": [*ids[1:], ENDS[kind]], "labels": rng.randrange(LABELS)}
    if task == "TOKEN_CLS":
        return {"input_ids": ids}
    # What the decoder reads is given: PEFT does not make it under a prompt.
    return {"input_ids": ids, "decoder_input_ids": [ids[-1], *ids[:-1]], "start_positions": 0, "end_positions": source - 1}


def dropped(base, example):
    own = models.load_base(base, "SEQ_2_SEQ_LM")
    for field in ("activation_dropout", "attention_dropout", "dropout"):
        changed = transformers.AutoConfig.from_pretrained(base, **{field: encoders.SURELY})
        training = type(own)(changed)
        training.load_state_dict(own.state_dict())
        training.set_attn_implementation("eager")
        training.train()
        row = forwards.values(forwards.run(training, "SEQ_2_SEQ_LM", example))
        yield {"field": field, "logits": row["logits"]}
