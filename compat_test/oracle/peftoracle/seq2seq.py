"""seq2seq-goldens: tiny encoder-decoders, adapters on them, and the numbers transformers and PEFT get.

    DIR/CASE/base/             the model
    DIR/CASE/input.jsonl       sequences with labels
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

VOCABULARY, VIRTUAL_TOKENS, TASK = 31, 3, "SEQ_2_SEQ_LM"
SIZES = f"--hidden 12 --heads 2 --vocab {VOCABULARY} --max-positions 18 --layers 2 --task {TASK}".split()
T5 = dict(d_ff=20, d_kv=6, num_decoder_layers=2, relative_attention_num_buckets=8, relative_attention_max_distance=9, decoder_start_token_id=0)
BART = dict(decoder_layers=2, encoder_ffn_dim=20, decoder_ffn_dim=16, decoder_attention_heads=2, dropout=0.0)
CASES = {  # name: model_type, further arguments of make-base, fields of config.json, methods
    "t5": ("t5", [], T5, ["prompt", "prefix", "multitask", "lora"]),
    "mt5": ("mt5", ["--untied"], T5, ["cartridge"]),
    "bart": ("bart", [], BART | dict(scale_embedding=True), ["ptuning-mlp", "prefix", "multitask", "lora"]),
    "mbart": ("mbart", [], BART, []),
    "pegasus": ("pegasus", [], BART | dict(scale_embedding=True), ["prompt"]),
}
# Patterns, since PEFT writes lists of names in a random order.
LORA = {"t5": r".*\.(q|v|wo)", "bart": r".*\.(q_proj|v_proj|fc1)"}


def seq2seq_goldens(args):
    for number, name in enumerate(CASES):
        make(args.call, Path(args.dir) / name, name, seed=args.seed + number)


def make(call, folder, name, seed):
    kind, extra, fields, methods = CASES[name]
    base, rng = folder / "base", random.Random(seed)
    call("make-base", str(base), "--seed", str(seed), "--arch", kind, *SIZES, *extra, "--set", json.dumps(fields))
    (base / "generation_config.json").unlink()
    inputs = [example(*lengths, rng) for lengths in ((6, 4), (1, 2), (11, 5))]
    models.write_jsonl(folder / "input.jsonl", inputs)
    model = ["--base", str(base), "--task", TASK, "--input", str(folder / "input.jsonl")]
    call("forward", *model, "--output", str(folder / "forward.jsonl"))
    if kind not in ("t5", "mt5"):
        models.write_jsonl(folder / "dropout.jsonl", dropped(base, inputs[0]))
    for method in methods:
        make_method(call, folder, name, method, model)


def make_method(call, folder, name, method, model):
    out = folder / method
    config = {"r": 2, "lora_alpha": 3, "target_modules": LORA[name]} if method == "lora" else {}
    call("make-adapter", *model[:4], "--method", method, "--out", str(out), "--base-name", "tiny-" + name, "--n", str(VIRTUAL_TOKENS), "--config", json.dumps(config))
    (out / "README.md").unlink()
    if method == "multitask":
        model = [*model[:-1], str(folder / "tasks.jsonl")]
        models.write_jsonl(folder / "tasks.jsonl", [row | {"task_ids": i % 2} for i, row in enumerate(models.read_jsonl(folder / "input.jsonl"))])
    call("forward", *model, "--adapter", str(out), "--output", str(folder / f"{method}.jsonl"))


def example(source, target, rng):
    labels = [rng.randrange(2, VOCABULARY) for _ in range(target)]
    if target > 4:
        labels[1] = -100
    return {"input_ids": [rng.randrange(VOCABULARY) for _ in range(source)], "labels": labels}


def dropped(base, example):
    own = models.load_base(base, TASK)
    for field in ("activation_dropout", "attention_dropout", "dropout"):
        changed = transformers.AutoConfig.from_pretrained(base, **{field: encoders.SURELY})
        training = type(own)(changed)
        training.load_state_dict(own.state_dict())
        training.set_attn_implementation("eager")
        training.train()
        row = forwards.values(forwards.run(training, TASK, example))
        yield {"field": field, "logits": row["logits"]}
