"""Trains the embedded decoder: a small Llama that goes on from a text, on the entries of WordNet.

    python decoder.py --wordnet FOLDER --output FOLDER [--steps N]

FOLDER of --wordnet holds data.noun and its siblings. The output is a transformers
checkpoint (float16), and card.json with the figures of the model card. An interrupted run
goes on from the last checkpoint of the output, with the same batches.

glibc's allocator gives large tensors back to the system each time and has them again page by page, which takes
most of the time of a model as small as this: MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=100000000000
in the environment keeps them. On a machine that does other things at the same time --threads 1 is faster.
"""

import argparse
import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import corpus
import training

VOCABULARY = 4096
SPECIAL = ["<pad>", "<s>", "</s>"]
PAD, BOS, EOS = range(3)
LENGTH, SHORT = 512, 128  # tokens of a packed row
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=512,
    max_position_embeddings=LENGTH, tie_word_embeddings=True, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS)
BATCH = 1024  # tokens
# The rate rises, stays, and falls to 0 over the last steps.
STEPS, LEARNING_RATE, WARM_UP, DECAY, WEIGHT_DECAY = 9000, 2e-3, 300, 1000, 0.01


def train_tokenizer(lines: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)])
    return tokenizer


def rows(ids: list[list[int]], length: int) -> list[list[int]]:
    """Lines one after the other, in rows of length tokens. Each row begins with a line; what does not fit into its end is left out."""
    packed, row = [], []
    for line in ids:
        row += line
        if len(row) >= length:
            packed.append(row[:length])
            row = []
    return packed


def epoch(ids: list[list[int]], draw: np.random.Generator) -> list[np.ndarray]:
    """Batches of BATCH tokens of all lines in a new order, half of them in short rows: what is asked later has little before it.
    Two shapes only: for each shape anew the kernels of oneDNN are made."""
    order = [ids[i] for i in draw.permutation(len(ids))]
    batches = []
    for length, part in ((LENGTH, order[::2]), (SHORT, order[1::2])):
        packed = np.array(rows(part, length))
        n = BATCH // length
        batches += [packed[at:at + n] for at in range(0, len(packed) - n + 1, n)]
    return [batches[i] for i in draw.permutation(len(batches))]


def batches(ids: list[list[int]]):
    """Endless batches."""
    draw = np.random.default_rng(corpus.SEED)
    while True:
        yield from epoch(ids, draw)


def scores(model, ids: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of the tokens after the first of each row, [n, VOCABULARY], and those tokens."""
    ids = torch.from_numpy(ids)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return logits.float().flatten(0, 1), ids[:, 1:].flatten()


Definition = tuple[list[int], list[int]]  # tokens of a head, and those of the gloss behind it with the end


@torch.no_grad()
def measure(model, unseen: list[Definition]) -> dict[str, float]:
    """Perplexity of glosses and their ends behind their heads, and the share of the tokens that are the likeliest one."""
    loss = right = count = 0
    for length in sorted({len(a) + len(b) for a, b in unseen}):
        group = [(a, b) for a, b in unseen if len(a) + len(b) == length]
        logits, targets = scores(model, np.array([a + b for a, b in group]))
        own = torch.tensor([i >= len(a) for a, _ in group for i in range(1, length)])
        logits, targets = logits[own], targets[own]
        loss += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        right += (logits.argmax(-1) == targets).sum().item()
        count += len(targets)
    return {"perplexity": round(math.exp(loss / count), 2), "accuracy": round(right / count, 4)}


def baselines(seen: list[Definition], unseen: list[Definition]) -> dict[str, float]:
    """The same figures of counts of the glosses that are trained on: of single tokens, and of pairs mixed with them
    (Jelinek and Mercer 1980), in the share that is best for the unseen ones themselves."""
    pairs = Counter(pair for a, b in seen for pair in zip([a[-1], *b], b))
    single, before, follower = Counter(), Counter(), {}
    for (first, second), n in sorted(pairs.items(), key=lambda item: item[1]):
        single[second] += n
        before[first] += n
        follower[first] = second  # the commonest comes last
    (commonest, _), = single.most_common(1)
    total = single.total()
    tested = [pair for a, b in unseen for pair in zip([a[-1], *b], b)]
    p1 = np.array([(single[b] + 1) / (total + VOCABULARY) for _, b in tested])
    p2 = np.array([pairs[a, b] / max(1, before[a]) for a, b in tested])
    perplexity = lambda p: round(float(np.exp(-np.log(p).mean())), 2)
    return {"unigram_perplexity": perplexity(p1), "unigram_accuracy": round(np.mean([b == commonest for _, b in tested]), 4),
            "bigram_perplexity": min(perplexity(share * p2 + (1 - share) * p1) for share in np.arange(0.05, 1, 0.05)),
            "bigram_accuracy": round(np.mean([b == follower.get(a) for a, b in tested]), 4)}


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--wordnet", type=Path, required=True)
    flags.add_argument("--output", type=Path, required=True)
    flags.add_argument("--steps", type=int, default=STEPS)
    flags.add_argument("--threads", type=int, default=2)
    flags = flags.parse_args()
    torch.manual_seed(corpus.SEED)
    torch.set_num_threads(flags.threads)
    out = flags.output
    out.mkdir(parents=True, exist_ok=True)

    synsets = corpus.read(flags.wordnet)
    _, held_out, kept_out = corpus.text(synsets, corpus.task(synsets))
    lines = corpus.entries(synsets, kept_out)
    if not (out / "tokenizer.json").exists():
        train_tokenizer(lines).save(str(out / "tokenizer.json"), pretty=False)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    ids = [[*e.ids[:LENGTH - 1], EOS] for e in tokenizer.encode_batch(lines)]
    encode = lambda texts, **kw: [e.ids for e in tokenizer.encode_batch(texts, **kw)]

    def definitions(glosses: set[str]) -> list[Definition]:
        heads, bodies = zip(*corpus.definitions(synsets, glosses))
        return [(a, [*b, EOS]) for a, b in zip(encode(heads), encode(bodies, add_special_tokens=False))]

    unseen = definitions(set(held_out))
    print(f"{len(lines)} lines, {sum(map(len, ids))} tokens", flush=True)

    model = LlamaForCausalLM(CONFIG)
    norms = [p for n, p in model.named_parameters() if "norm" in n]
    matrices = [p for n, p in model.named_parameters() if "norm" not in n]
    optimizer = torch.optim.AdamW([{"params": norms, "weight_decay": 0.0}, {"params": matrices}],
                                  lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY, fused=True)
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)

    def losses(first: int):
        for batch in itertools.islice(batches(ids), first, None):
            yield torch.nn.functional.cross_entropy(*scores(model, batch)), batch.size

    curve = training.train(
        model, optimizer, out / "training.pt", flags.steps, lambda step: LEARNING_RATE * min(1, step / WARM_UP, (flags.steps - step + 1) / DECAY),
        losses, lambda: measure(model, unseen))
    seen = definitions({s.gloss for s in synsets.values()} - kept_out)
    card = {"lines": len(lines), "tokens": sum(map(len, ids)), **baselines(seen, unseen), "curve": curve}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    model.half().save_pretrained(out)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, pad_token="<pad>", bos_token="<s>", eos_token="</s>").save_pretrained(out)
    path = out / "tokenizer_config.json"
    path.write_text(path.read_text().replace("TokenizersBackend", "PreTrainedTokenizerFast"))  # the same class; transformers 4 knows it


if __name__ == "__main__":
    main()
