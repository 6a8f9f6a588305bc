"""bench: the workers of `make bench-peft`. Reads the paths of jobs from standard input, one a line, and forks a process for each.

A job is a JSON file; compat_test/bench/job.go says what its fields mean.

Training is a plain loop as users of PEFT write it, on batches that are padded to their longest sequence and masked, with the fastest
settings: scaled dot product attention, all cores, bfloat16 by autocast, of a language model by a base in bfloat16. Prints one JSON
object a job: the loss of every step or all scores, tokens and seconds of each timed call, the peak of memory.
"""

import contextlib
import itertools
import json
import os
import platform
import re
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from . import adapters, models, stepping, training

PAD = 0


def bench(args):
    for line in sys.stdin:
        worker = os.fork()
        if worker == 0:
            work(line.rstrip("\n"))
            sys.stdout.flush()
            os._exit(0)
        if os.waitpid(worker, 0)[1] != 0:
            sys.exit(f"the worker on {line.rstrip()} failed")


def work(path):
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(job["threads"])
    batches = models.read_jsonl(job["data"])
    result = {"train": train, "forward": answer, "tokenize": tokenize, "generate": generate}[job["kind"]](job, batches)
    print(json.dumps({**result, "peak_rss": peak_rss(), "versions": {"python": platform.python_version(), **models.versions()}}))


def train(job, batches):
    base = models.load_base(job["base"], job["task"], num_labels=2 if job["task"] == "SEQ_CLS" else None, new_head=True, **settings(job))
    model = adapters.wrap(base, adapters.config_from_file(Path(job["adapters"][0]) / "adapter_config.json"))
    named = models.trainable(model)
    stepping.set_parameters(named, load_file(job["start"]))
    model.train(job["dropout"])
    parameters = list(named.values())
    optimizer = torch.optim.AdamW(parameters, lr=job["learning_rate"], weight_decay=0.01)

    def step(line):
        with precision(job):
            loss = model(**collate(job, line["batch"])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return [loss.item()]

    return timed(step, batches, job["warm"])


def answer(job, batches):
    model = models.load_adapter(job["base"], job["adapters"][0], job["task"], num_labels=2, **settings(job))

    @torch.inference_mode()
    def call(line):
        inputs = collate(job, line["batch"])
        del inputs["labels"]
        with precision(job):
            return model(**inputs).logits.float().flatten().tolist()

    return timed(call, batches, job["warm"])


def generate(job, batches):
    """Greedy answers of a fixed length. PEFT has one adapter active at a time, so sequences of different ones are batches of their own."""
    model = models.load_adapter(job["base"], job["adapters"][0], job["task"], **settings(job))
    names = ["default", *map(str, range(1, len(job["adapters"])))]
    for name, path in list(zip(names, job["adapters"]))[1:]:
        model.load_adapter(path, adapter_name=name)
    model.generation_config.eos_token_id = None
    written, scales = [], []

    @torch.inference_mode()
    def call(line):
        scores = []
        for adapter, group in itertools.groupby(line["batch"], key=lambda example: example["adapter"]):
            if len(names) > 1:
                model.set_adapter(names[adapter])
            ids = torch.tensor([example["input_ids"] for example in group])
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=line["written"],
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
            )
            written.extend(out.sequences[:, -line["written"] :].tolist())
            all_scores = torch.stack(out.scores, dim=1)
            scores += all_scores.amax(dim=-1).flatten().tolist()
            scales.extend(all_scores.abs().amax(dim=-1).flatten().tolist())
        return scores

    return {**timed(call, batches, job["warm"], lambda line: len(line["batch"]) * line["written"]), "written": written, "scales": scales}


def tokenize(job, batches):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread
    tokenizer = Tokenizer.from_file(str(Path(job["base"]) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def call(line):
        return [id for encoding in tokenizer.encode_batch([e["text"] for e in line["batch"]]) for id in encoding.ids]

    return timed(call, batches, job["warm"])


def settings(job):
    """How the base is loaded. A language model is faster in bfloat16 than under autocast, which converts its frozen weights in every call."""
    whole = job["bf16"] and job["task"] != "SEQ_CLS"
    return {"attention": "sdpa", "dtype": "bfloat16" if whole else "float32"}


def precision(job):
    """Entered for every call: autocast keeps what it has converted, trained weights too, until it is left."""
    return torch.autocast("cpu", torch.bfloat16) if job["bf16"] and job["task"] == "SEQ_CLS" else contextlib.nullcontext()


def collate(job, examples):
    """Language models learn all tokens of sequences of one length, encoder-decoders targets of one length."""
    inputs = training.batch([(torch.tensor(e["input_ids"]), e["labels"]) for e in examples], PAD)
    if job["task"] == "CAUSAL_LM":
        inputs["labels"] = inputs["input_ids"]
    if job["task"] == "SEQ_2_SEQ_LM":
        inputs["labels"] = torch.tensor([e["target"] for e in examples])
    return inputs


def tokens(line):
    """The tokens of the texts of a batch, without pads and virtual ones."""
    return sum(len(e["input_ids"]) + len(e.get("target", [])) for e in line["batch"])


def timed(call, batches, warm, count=tokens):
    result = {"check": [], "tokens": [], "seconds": []}
    for number, line in enumerate(batches):
        began = time.perf_counter()
        result["check"] += call(line)
        if number >= warm:
            result["seconds"].append(time.perf_counter() - began)
            result["tokens"].append(count(line))
    return result


def peak_rss():
    """The most memory in use at once, in bytes, as Linux counts it; 0 elsewhere."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0
