"""Restaurant facts to text (E2E, Novikova et al. 2017) with Python PEFT, by the settings of `gopeft train`.

    python3 e2e.py split devset.csv FOLDER              writes FOLDER/train.csv (800 pairs) and FOLDER/test.csv (a pair for each of 60 other facts)
    python3 e2e.py train BASE FOLDER METHOD OUTPUT DTYPE [ORDER]
                                                        trains prompt, p-tuning or prefix; `gopeft eval` measures the result as its own

With DTYPE bfloat16 what is multiplied is rounded, forward (torch.autocast); float32 rounds nothing. ORDER is a file with the number of a training pair,
from 0, a line: the order to read them in, as train.Order of gopeft tells it. Without it they are shuffled. docs/results.md has the commands of gopeft beside it.
"""

import csv
import random
import sys

STEPS, BATCH, WARMUP, TOKENS, RATE = 60, 8, 0.06, 10, 1e-2


def split(source, folder):
    by_facts = {}
    for row in csv.DictReader(open(source, newline="")):
        by_facts.setdefault(row["mr"], []).append(row["ref"])
    facts = sorted(by_facts)
    random.Random(1).shuffle(facts)
    train = [(f, text) for f in facts[60:] for text in by_facts[f]]
    random.Random(2).shuffle(train)
    for name, rows in ("test", [(f, by_facts[f][0]) for f in facts[:60]]), ("train", train[:800]):
        with open(f"{folder}/{name}.csv", "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["text", "target"])
            writer.writerows(rows)


def train(base, folder, method, output, dtype, order=None):
    import torch
    from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup

    torch.manual_seed(42)
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(base)
    config = {
        "prompt": lambda: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS, prompt_tuning_init="SAMPLE_VOCAB"),
        "p-tuning": lambda: PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS, encoder_hidden_size=576),
        "prefix": lambda: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS, init_weights="zero"),
    }[method]()
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    examples = []
    for row in csv.DictReader(open(f"{folder}/train.csv", newline="")):
        text = tokenizer(row["text"] + "\n")["input_ids"]
        target = tokenizer(row["target"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        examples.append((text, target))
    if order:
        examples = [examples[int(line)] for line in open(order)]
    else:
        random.Random(42).shuffle(examples)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0)
    schedule = get_linear_schedule_with_warmup(optimizer, round(WARMUP * STEPS), STEPS)
    model.train()
    for step in range(STEPS):
        batch = examples[step * BATCH :][:BATCH]
        width = max(len(t) + len(a) for t, a in batch)
        ids, mask, labels = [], [], []
        for text, target in batch:
            pad = width - len(text) - len(target)
            ids.append(text + target + [0] * pad)
            mask.append([1] * (width - pad) + [0] * pad)
            labels.append([-100] * len(text) + target + [-100] * pad)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask), labels=torch.tensor(labels)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        print(step, f"{loss.item():.3f}", flush=True)
    model.save_pretrained(output)


{"split": split, "train": train}[sys.argv[1]](*sys.argv[2:])
