"""encoder-goldens: for every encoder architecture a tiny model with all its heads, and the numbers transformers and PEFT get from it.

    DIR/ARCH/base/             the model: one backbone and the heads of all tasks
    DIR/ARCH/input.jsonl       sequences
    DIR/ARCH/TASK.jsonl        its outputs in evaluation; MASKED_LM for the first sequence
    DIR/ARCH/dropout.jsonl     a line for each task and each dropout field of the config: the outputs for the first sequence in training, when that
                               dropout drops all but surely everything and the others nothing
    DIR/ARCH/lora/             an adapter directory without its model card, as PEFT saved it for SEQ_CLS
    DIR/ARCH/lora.jsonl        the outputs with it
"""

import copy
import json
import random
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from . import bases, forwards, models

VOCABULARY, LABELS = 41, 3
SIZES = dict(num_hidden_layers=2, hidden_size=12, num_attention_heads=2, intermediate_size=20, vocab_size=VOCABULARY, max_position_embeddings=24)
NO_DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
SURELY = 0.99999994  # the greatest float32 below 1

# The fields of each architecture's config beyond the sizes, and LoRA's targets, a pattern since PEFT writes a list in a random order.
ARCHITECTURES = {
    "albert": dict(fields=NO_DROPOUT | dict(embedding_size=8, num_hidden_groups=2, num_hidden_layers=3, classifier_dropout_prob=0.0),
                   lora=r".*\.(query|value|ffn|embedding_hidden_mapping_in)"),
    "distilbert": dict(fields=dict(hidden_dim=20, dropout=0.0, attention_dropout=0.0, qa_dropout=0.0, seq_classif_dropout=0.0), lora=r".*\.(q_lin|lin1)"),
    "electra": dict(fields=NO_DROPOUT | dict(embedding_size=8), lora=r".*(\.(query|key|output\.dense)|embeddings_project)"),
    "modernbert": dict(
        labels=2,  # the head of QUESTION_ANS has the same name
        fields=dict(num_hidden_layers=3, hidden_size=16, local_attention=5, norm_eps=1e-5, pad_token_id=0, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2,
                    classifier_pooling="mean"),
        lora=r".*(\.(Wqkv|Wo)|head\.dense)",
    ),
    # The first version with distances beyond the last embedding, embeddings narrower than the model, and types.
    "deberta": dict(
        fields=NO_DROPOUT | dict(relative_attention=True, max_relative_positions=4, pos_att_type="c2p|p2c", embedding_size=8, type_vocab_size=2, pooler_dropout=0.0, pad_token_id=0),
        lora=r".*(\.(in_proj|pos_q_proj)|embed_proj|pooler\.dense)",
    ),
    # The second as published, with a convolution; with projections of its own for positions, and positions added to words.
    "deberta-v2": dict(
        fields=NO_DROPOUT | dict(relative_attention=True, position_buckets=6, max_relative_positions=10, pos_att_type=["p2c", "c2p"], pooler_dropout=0.0, cls_dropout=0.0,
                                 pooler_hidden_act="tanh", conv_kernel_size=3, conv_act="gelu", conv_groups=1, pad_token_id=0),
        lora=r".*(\.(query_proj|key_proj|pos_key_proj)|pooler\.dense)",
    ),
    # The second as DeBERTaV3 has it.
    "deberta-v3": dict(
        model_type="deberta-v2",
        fields=NO_DROPOUT | dict(relative_attention=True, position_buckets=4, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False,
                                 pooler_dropout=0.0, legacy=False, pad_token_id=0),
        lora=r".*\.(query_proj|key_proj|value_proj)",
    ),
    "roberta": dict(fields=NO_DROPOUT | dict(type_vocab_size=2, pad_token_id=2), lora=r".*\.(query|value|output\.dense)"),
}
TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION", "MASKED_LM")


def encoder_goldens(args):
    for name, spec in ARCHITECTURES.items():
        if not args.only or name in args.only:
            models.deterministic(args.seed, args.threads)
            make(args.call, Path(args.dir) / name, name, spec, random.Random(name))


def make(call, folder, name, spec, rng):
    config = transformers.AutoConfig.for_model(spec.get("model_type", name), **{**SIZES, **labelled(spec.get("labels", LABELS)), **spec["fields"]})
    make_base(folder / "base", config)
    types = getattr(config, "type_vocab_size", 0)
    inputs = [sequence(length, types, rng) for length in (6, 1, 11)]
    # The padding token is a token like any other in a sequence that is not padded.
    inputs[0]["input_ids"][3] = inputs[2]["input_ids"][0] = config.pad_token_id
    models.write_jsonl(folder / "input.jsonl", inputs)
    models.write_jsonl(folder / "first.jsonl", inputs[:1])
    for task in TASKS:
        source = "first" if task == "MASKED_LM" else "input"
        call("forward", *model(folder, task), "--input", str(folder / f"{source}.jsonl"), "--output", str(folder / f"{task}.jsonl"))
    (folder / "first.jsonl").unlink()
    models.write_jsonl(folder / "dropout.jsonl", dropped(folder, config, inputs[0]))
    make_lora(call, folder, name, spec)


def labelled(count):
    names = [f"LABEL_{i}" for i in range(count)]
    return dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})


def model(folder, task):
    return ["--base", str(folder / "base"), "--task", task, *(["--num-labels", "2"] if task == "QUESTION_ANS" else [])]


def make_base(folder, config):
    """The heads of all tasks on the backbone of the first."""
    tensors = {}
    for task in ("MASKED_LM", "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"):
        own = copy.deepcopy(config)
        if task == "QUESTION_ANS":
            own.update(labelled(2))
        head = models.TASKS[task].from_config(own)
        bases.randomise(head)
        head.save_pretrained(folder)
        tensors = load_file(folder / "model.safetensors") | tensors
    features = models.TASKS["FEATURE_EXTRACTION"].from_config(config)  # may have a pooler that the heads do without
    bases.randomise(features)
    tensors = {f"{features.base_model_prefix}.{name}": tensor for name, tensor in features.state_dict().items()} | tensors
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    file = folder / "config.json"
    config.architectures = [models.TASKS["SEQ_CLS"]._model_mapping[type(config)].__name__]
    file.write_text(config.to_json_string(use_diff=False))


def sequence(length, types, rng):
    row = {"input_ids": [rng.randrange(VOCABULARY) for _ in range(length)]}
    return row | ({"token_type_ids": [rng.randrange(types) for _ in range(length)]} if types else {})


def dropped(folder, config, example):
    """The outputs of every task under every dropout."""
    for task in TASKS[:-1]:
        for field in sorted(key for key in config.to_dict() if "dropout" in key):
            own = models.load_base(folder / "base", task, num_labels=2 if task == "QUESTION_ANS" else None)
            changed = transformers.AutoConfig.from_pretrained(folder / "base", **{field: SURELY}, num_labels=own.config.num_labels)
            training = type(own)(changed)
            training.load_state_dict(own.state_dict())
            training.set_attn_implementation("eager")
            training.train()
            yield {"task": task, "field": field} | forwards.values(forwards.run(training, task, example))


def make_lora(call, folder, name, spec):
    out = folder / "lora"
    fields = {"r": 2, "lora_alpha": 3, "target_modules": spec["lora"]}
    call("make-adapter", *model(folder, "SEQ_CLS"), "--method", "lora", "--out", str(out), "--base-name", "tiny-" + name, "--config", json.dumps(fields))
    (out / "README.md").unlink()
    call("forward", *model(folder, "SEQ_CLS"), "--adapter", str(out), "--input", str(folder / "input.jsonl"), "--output", str(folder / "lora.jsonl"))
