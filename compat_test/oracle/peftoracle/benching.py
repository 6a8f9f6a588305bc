"""bench: a worker of `make bench-peft`, told by a JSON file what to do; compat_test/bench/job.go says what its fields mean.

Training is a plain loop as users of PEFT write it, on batches that are padded to their longest sequence and masked, with the fastest
settings: scaled dot product attention, all cores, bfloat16 by autocast. Prints one JSON object: the loss of every step or all
scores, tokens and seconds of each timed call, the peak of memory.
"""

import contextlib
import json
import os
import platform
import re
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from . import adapters, models, stepping, training

PAD = 0


def bench(args):
    job = json.loads(Path(args.job).read_text(encoding="utf-8"))
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(job["threads"])
    batches = [row["batch"] for row in models.read_jsonl(job["data"])]
    result = {"train": train, "forward": answer, "tokenize": tokenize}[job["kind"]](job, batches)
    print(json.dumps({**result, "peak_rss": peak_rss(), "versions": {"python": platform.python_version(), **models.versions()}}))


def train(job, batches):
    base = models.load_base(job["base"], "SEQ_CLS", num_labels=2, attention="sdpa", new_head=True)
    model = adapters.wrap(base, adapters.config_from_file(Path(job["adapter"]) / "adapter_config.json"))
    named = models.trainable(model)
    stepping.set_parameters(named, load_file(job["start"]))
    model.train(job["dropout"])
    parameters = list(named.values())
    optimizer = torch.optim.AdamW(parameters, lr=job["learning_rate"], weight_decay=0.01)

    def step(examples):
        with precision(job):
            loss = model(**collate(examples)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return [loss.item()]

    return timed(step, batches, job["warm"])


def answer(job, batches):
    model = models.load_adapter(job["base"], job["adapter"], "SEQ_CLS", num_labels=2, attention="sdpa")

    @torch.inference_mode()
    def call(examples):
        inputs = collate(examples)
        del inputs["labels"]
        with precision(job):
            return model(**inputs).logits.float().flatten().tolist()

    return timed(call, batches, job["warm"])


def tokenize(job, batches):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread
    tokenizer = Tokenizer.from_file(str(Path(job["base"]) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def call(examples):
        return [id for encoding in tokenizer.encode_batch([e["text"] for e in examples]) for id in encoding.ids]

    return timed(call, batches, job["warm"])


def precision(job):
    """Entered for every call: autocast keeps what it has converted, trained weights too, until it is left."""
    return torch.autocast("cpu", torch.bfloat16) if job["bf16"] else contextlib.nullcontext()


def collate(examples):
    return training.batch([(torch.tensor(e["input_ids"]), e["labels"]) for e in examples], PAD)


def timed(call, batches, warm):
    result = {"check": [], "tokens": [], "seconds": []}
    for number, examples in enumerate(batches):
        began = time.perf_counter()
        result["check"] += call(examples)
        if number >= warm:
            result["seconds"].append(time.perf_counter() - began)
            result["tokens"].append(sum(len(e["input_ids"]) for e in examples))
    return result


def peak_rss():
    """The most memory in use at once, in bytes, as Linux counts it; 0 elsewhere."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0
