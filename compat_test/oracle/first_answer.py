"""The least Python that answers with a PEFT adapter, as a new process: for the time from start to first answer.

    python first_answer.py BASE ADAPTER < TEXT

Prints {"scores": {label: probability}} for the first line of standard input.
"""

import json
import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch  # noqa: E402  (the environment is set first)
from peft import PeftModel  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402

base, adapter = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(base), adapter).eval()
with torch.inference_mode():
    scores = model(**tokenizer(sys.stdin.readline().rstrip("\n"), return_tensors="pt")).logits[0].softmax(dim=-1)
print(json.dumps({"scores": {model.config.id2label[i]: p for i, p in enumerate(scores.tolist())}}), flush=True)
