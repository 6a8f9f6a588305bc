"""PEFT's own defaults on a text classification, with Python PEFT and the settings of transformers' Trainer: docs/defaults.md has the figures.

    python3 scripts/defaults.py BASE TRAIN DEV METHOD RATE EPOCHS SEED

TRAIN and DEV are TSV files whose columns are text and label, or files of TREC (LABEL:detail text). METHOD is
PROMPT_TUNING, PREFIX_TUNING, P_TUNING or LORA. Prints the accuracy on DEV after each pass, and the best, which counts.
"""

import csv
import random
import sys

import torch
from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

BATCH, TOKENS = 32, 20
CONFIGS = {
    "PROMPT_TUNING": lambda: PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS),
    "PREFIX_TUNING": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS),
    "P_TUNING": lambda: PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=TOKENS),
    "LORA": lambda: LoraConfig(task_type="SEQ_CLS"),
}


def read(path):
    if path.endswith(".tsv"):
        with open(path, newline="", encoding="utf-8") as f:
            return [(row["text"], row["label"]) for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    with open(path, encoding="latin-1") as f:
        parts = [line.rstrip("\n").split(" ", 1) for line in f]
    return [(text, label.split(":")[0]) for label, text in parts]


def main(base, train, dev, method, rate, epochs, seed):
    rate, epochs, seed = float(rate), int(epochs), int(seed)
    torch.manual_seed(seed)
    train, dev = read(train), read(dev)
    labels = sorted({label for _, label in train})
    tokenizer = AutoTokenizer.from_pretrained(base)
    # The embedded base is a float16 file, in which training gives NaN.
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels), dtype=torch.float32)
    model = get_peft_model(model, CONFIGS[method]())

    def forward(batch):
        inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
        return model(**inputs, labels=torch.tensor([labels.index(label) for _, label in batch]))

    steps = epochs * ((len(train) + BATCH - 1) // BATCH)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    order, best = random.Random(seed), 0
    for epoch in range(epochs):
        model.train()
        order.shuffle(train)
        for i in range(0, len(train), BATCH):
            forward(train[i : i + BATCH]).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        right = 0
        with torch.no_grad():
            for i in range(0, len(dev), 100):
                batch = dev[i : i + 100]
                answers = forward(batch).logits.argmax(-1).tolist()
                right += sum(labels[a] == label for a, (_, label) in zip(answers, batch))
        best = max(best, right)
        print(f"pass {epoch + 1}: {100 * right / len(dev):.1f}, best {100 * best / len(dev):.1f}", flush=True)


main(*sys.argv[1:])
