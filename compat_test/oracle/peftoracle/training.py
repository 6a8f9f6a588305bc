"""train: a plain training run as users of PEFT write it, for comparing accuracy and speed with gopeft's.

Batches are padded on the right to their longest sequence and masked; the order is a new permutation each epoch; AdamW with one
parameter group; linear schedule to zero after a warm-up of ceil(ratio * steps) steps; gradients clipped; dropout as the model has.
One JSON line an epoch: dev accuracy, training loss, seconds of training (without evaluation) and real tokens (no pads, no virtual
tokens) a second.
"""

import json
import math
import time
from pathlib import Path

import torch
import transformers

from . import adapters, forwards, models


def train(args):
    torch.use_deterministic_algorithms(False)
    train_rows, dev_rows = read(args.train, args.format), read(args.dev, args.format)
    names = sorted({label for _, label in train_rows})
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.base)
    train_set, dev_set = (encode(rows, tokenizer, names, args.max_length) for rows in (train_rows, dev_rows))
    model = new_model(args, len(names))
    report(dict(labels=names, trained=sum(p.numel() for p in models.trainable(model).values()), **models.versions()))
    run(model, args, train_set, dev_set, tokenizer.pad_token_id)
    if args.out:
        model.eval().save_pretrained(args.out)


def report(values):
    print(json.dumps(values), flush=True)


def read(path, kind):
    """(text, label) pairs. tsv: sentence, tab, label, no header; tsv-header: with one; trec: COARSE:fine question."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    lines = [line for line in lines[kind == "tsv-header" :] if line]
    if kind == "trec":
        return [(line.split(" ", 1)[1], line.split(":", 1)[0]) for line in lines]
    return [tuple(line.rsplit("\t", 1)) for line in lines]


def encode(rows, tokenizer, names, max_length):
    ids = tokenizer([text for text, _ in rows], truncation=True, max_length=max_length)["input_ids"]
    return [(torch.tensor(sequence), names.index(label)) for sequence, (_, label) in zip(ids, rows)]


def new_model(args, labels):
    base = models.load_base(args.base, "SEQ_CLS", num_labels=labels, attention=args.attention, new_head=True)
    fields = {"prompt": {"prompt_tuning_init": args.prompt_init}}.get(args.method, {})
    if args.method.startswith("prefix"):
        fields = {"init_weights": "zero" if args.prefix_init == "zero" else None}
    return adapters.wrap(base, adapters.method_config(args.method, "SEQ_CLS", args.virtual_tokens, {**fields, **args.config}))


def run(model, args, train_set, dev_set, pad):
    parameters = list(models.trainable(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, weight_decay=args.weight_decay)
    total = math.ceil(len(train_set) / args.batch_size) * args.epochs
    schedule = transformers.get_scheduler(args.schedule, optimizer, math.ceil(args.warmup_ratio * total), total)
    order = torch.Generator().manual_seed(args.seed)
    for epoch in range(1, args.epochs + 1):
        began = time.perf_counter()
        loss = one_epoch(model, args, train_set, pad, order, parameters, optimizer, schedule)
        seconds = time.perf_counter() - began
        tokens = sum(len(ids) for ids, _ in train_set)
        report(
            dict(epoch=epoch, train_loss=loss, dev_accuracy=accuracy(model, dev_set, pad), seconds=seconds, tokens_per_second=tokens / seconds)
        )


def one_epoch(model, args, train_set, pad, order, parameters, optimizer, schedule):
    model.train()
    losses = []
    for chosen in torch.randperm(len(train_set), generator=order).split(args.batch_size):
        loss = answer(model, batch([train_set[i] for i in chosen], pad)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, args.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def answer(model, inputs):
    """The data are of one task, also where a method could have several."""
    if forwards.is_multitask(model):
        inputs = {**inputs, "task_ids": torch.zeros(len(inputs["labels"]), dtype=torch.long)}
    return model(**inputs)


def batch(examples, pad):
    ids = torch.nn.utils.rnn.pad_sequence([ids for ids, _ in examples], batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(ids) for ids, _ in examples])
    mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([label for _, label in examples])}


@torch.no_grad()
def accuracy(model, dev_set, pad):
    model.eval()
    right = 0
    for start in range(0, len(dev_set), 64):
        inputs = batch(dev_set[start : start + 64], pad)
        right += (answer(model, inputs).logits.argmax(dim=-1) == inputs["labels"]).sum().item()
    return right / len(dev_set)
