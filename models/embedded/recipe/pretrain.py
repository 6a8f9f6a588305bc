"""Trains the embedded base model: a small BERT, by masked whole words of WordNet, and then its pooler, by telling
which two texts belong together.

    python pretrain.py --wordnet FOLDER --output FOLDER [--steps N]

FOLDER of --wordnet holds data.noun and its siblings. The output is a transformers
checkpoint (float16), the files of the domain task, and card.json with the figures of
the model card. An interrupted run begins again from the last checkpoint of the output.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast
from transformers.models.bert.modeling_bert import BertPooler

import corpus
import training

VOCABULARY = 8000
CONFIG = BertConfig(
    vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
    max_position_embeddings=256, type_vocab_size=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
BATCH = 4096  # tokens
LENGTH = 256  # tokens of a packed row
LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 1.5e-3, 400, 0.01
MASKED = 0.15  # of the words: 8 of 10 as [MASK], 1 as another token, 1 as it is
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)


# The trainer finds the same tokens each time and numbers them anew: these numbers stay, so that adapters fit a base that is made again.
NUMBERS = Path(__file__).parents[1] / "model/tokenizer.json"


def train_tokenizer(lines: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL))
    numbers, found = json.loads(NUMBERS.read_text())["model"]["vocab"], tokenizer.get_vocab()
    if numbers.keys() != found.keys():  # another text
        numbers = {token: i for i, token in enumerate(SPECIAL + sorted(found.keys() - set(SPECIAL)))}
    tokenizer.model = models.WordPiece(numbers, unk_token="[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    return tokenizer


class Batches:
    """Endless batches of about BATCH tokens: by turns lines of one length and packed rows of LENGTH tokens,
    so that nothing is padded and every position is trained."""

    def __init__(self, ids: list[list[int]], seed: int):
        self.draw = np.random.default_rng(seed)
        self.ids = ids
        self.queue: list[np.ndarray] = []

    def epoch(self):
        order = self.draw.permutation(len(self.ids))
        by_length: dict[int, list[list[int]]] = {}
        half = len(order) // 2
        for i in order[:half]:
            by_length.setdefault(len(self.ids[i]), []).append(self.ids[i])
        batches = []
        for length, rows in by_length.items():
            n = max(1, BATCH // length)
            batches += [np.array(rows[at:at + n]) for at in range(0, len(rows), n)]
        # A packed row is lines one after the other, between one [CLS] and one [SEP].
        flat = np.array([t for i in order[half:] for t in self.ids[i][1:-1]])
        inner = LENGTH - 2
        rows = flat[:len(flat) // inner * inner].reshape(-1, inner)
        rows = np.pad(np.pad(rows, ((0, 0), (1, 0)), constant_values=CLS), ((0, 0), (0, 1)), constant_values=SEP)
        n = BATCH // LENGTH
        batches += [rows[at:at + n] for at in range(0, len(rows), n)]
        self.draw.shuffle(batches := [b for b in batches if b.size >= BATCH // 4])
        return batches

    def next(self) -> np.ndarray:
        if not self.queue:
            self.queue = self.epoch()
        return self.queue.pop()


def choose(ids: np.ndarray, continues: np.ndarray, draw) -> np.ndarray:
    """The tokens of MASKED of the words, special ones never."""
    word = np.cumsum(~continues[ids], axis=1) - 1
    return np.take_along_axis(draw.random(ids.shape) < MASKED, word, axis=1) & (ids > MASK)


def mask(ids: np.ndarray, continues: np.ndarray, draw) -> tuple[np.ndarray, np.ndarray]:
    """Whole words: the ids with some of them masked, and where the model must answer."""
    chosen = choose(ids, continues, draw)
    kind = draw.random(ids.shape)
    masked = np.where(chosen & (kind < 0.8), MASK, ids)
    return np.where(chosen & (kind >= 0.9), draw.integers(MASK + 1, VOCABULARY, ids.shape), masked), chosen


@torch.autocast("cpu", torch.bfloat16)
def forward(model, ids, chosen):
    """Scores of the chosen tokens only."""
    hidden = model.bert(input_ids=torch.from_numpy(ids)).last_hidden_state
    return model.cls(hidden[torch.from_numpy(chosen)]).float()


PAIRS, PAIR_LENGTH, ALIGN_LEARNING_RATE, TEMPERATURE = 128, 40, 4e-4, 0.05


def align(model, pooler, ids, continues, steps: int, draw):
    """Trains the pooler, and the model further: of PAIRS texts each must find its partner (InfoNCE,
    van den Oord et al. 2018), while the masked-word loss goes on."""
    parameters = [*model.parameters(), *pooler.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=ALIGN_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    # Neighbours in length are batched, so that little is padded.
    order = sorted(range(len(ids)), key=lambda i: (max(map(len, ids[i])), draw.random()))
    starts = np.arange(0, len(order) - PAIRS, PAIRS)
    losses = []
    for step in range(1, steps + 1):
        at = int(draw.choice(starts))
        sides = zip(*(ids[i] for i in order[at:at + PAIRS]))
        pooled, words = [], []
        for rows in sides:
            length = max(map(len, rows))
            padded = np.array([row + [PAD] * (length - len(row)) for row in rows])
            masked, chosen = mask(padded, continues, draw)
            with torch.autocast("cpu", torch.bfloat16):
                # Half of the batches are whole: what is classified later has no masks.
                seen = masked if step % 2 else padded
                hidden = model.bert(torch.from_numpy(seen), attention_mask=torch.from_numpy(padded != PAD)).last_hidden_state
                pooled.append(torch.nn.functional.normalize(pooler(hidden).float(), dim=-1))
                if step % 2:
                    scores = model.cls(hidden[torch.from_numpy(chosen)]).float()
                    words.append(torch.nn.functional.cross_entropy(scores, torch.from_numpy(padded[chosen])))
        similar, own = pooled[0] @ pooled[1].T / TEMPERATURE, torch.arange(PAIRS)
        partner = (torch.nn.functional.cross_entropy(similar, own) + torch.nn.functional.cross_entropy(similar.T, own)) / 2
        for group in optimizer.param_groups:
            group["lr"] = ALIGN_LEARNING_RATE * min(step / 100, (steps - step + 1) / steps)
        optimizer.zero_grad()
        (partner + sum(words)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(partner.item())
        if step % 50 == 0:
            print(f"align {step}/{steps} loss {np.mean(losses[-50:]):.3f}", flush=True)
    return round(float(np.mean(losses[-100:])), 3)


@torch.no_grad()
def accuracy(model, ids: list[list[int]], continues) -> float:
    """Share of right tokens among the masked ones of unseen glosses, all masked by [MASK]."""
    model.eval()
    draw, right, all_ = np.random.default_rng(0), 0, 0
    for row in ids:
        row = np.array([row[:LENGTH]])
        chosen = choose(row, continues, draw)
        if chosen.any():
            best = forward(model, np.where(chosen, MASK, row), chosen).argmax(-1).numpy()
            right, all_ = right + (best == row[chosen]).sum(), all_ + chosen.sum()
    model.train()
    return float(right / all_)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--wordnet", type=Path, required=True)
    flags.add_argument("--output", type=Path, required=True)
    flags.add_argument("--steps", type=int, default=10000)
    flags.add_argument("--align-steps", type=int, default=500)
    flags.add_argument("--threads", type=int, default=2)
    flags = flags.parse_args()
    torch.manual_seed(corpus.SEED)
    torch.set_num_threads(flags.threads)
    out = flags.output
    out.mkdir(parents=True, exist_ok=True)

    synsets = corpus.read(flags.wordnet)
    files = corpus.task(synsets)
    lines, held_out, kept_out = corpus.text(synsets, files)
    for name, rows in files.items():
        (out / f"{name}.tsv").write_text("text\tlabel\n" + "".join(f"{g}\t{d}\n" for g, d in rows))
    if not (out / "tokenizer.json").exists():
        tokenizer = train_tokenizer(lines)
        tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    continues = np.array([tokenizer.id_to_token(i).startswith("##") for i in range(VOCABULARY)])
    encode = lambda texts: [e.ids[:LENGTH] for e in tokenizer.encode_batch(texts)]
    ids, unseen = encode(lines), encode(held_out)
    counts = Counter(t for row in unseen for t in row if t > MASK)
    unigram = counts.most_common(1)[0][1] / counts.total()
    print(f"{len(lines)} lines, {sum(map(len, ids))} tokens; the commonest token is {unigram:.3f} of the unseen", flush=True)

    model = BertForMaskedLM(CONFIG)
    plain = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not ("bias" in n or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": plain, "weight_decay": 0.0}, {"params": decayed}],
                                  lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)

    def losses(first: int):
        batches, draw = Batches(ids, corpus.SEED + first), np.random.default_rng(corpus.SEED + first)
        model.train()
        while True:
            rows = batches.next()
            masked, chosen = mask(rows, continues, draw)
            yield torch.nn.functional.cross_entropy(forward(model, masked, chosen), torch.from_numpy(rows[chosen])), rows.size

    curve = training.train(
        model, optimizer, out / "training.pt", flags.steps,
        lambda step: LEARNING_RATE * min(step / WARM_UP, (flags.steps - step + 1) / (flags.steps - WARM_UP)),
        losses, lambda: {"accuracy": round(accuracy(model, unseen, continues), 4)})
    pooler = BertPooler(CONFIG)
    pairs = corpus.pairs(synsets, kept_out)
    left, right = encode([a for a, _ in pairs]), encode([b for _, b in pairs])
    draw = np.random.default_rng(corpus.SEED)
    short = [pair for pair in zip(left, right) if max(map(len, pair)) <= PAIR_LENGTH]
    partner = align(model, pooler, short, continues, flags.align_steps, draw)
    curve.append({"step": "aligned", "loss": partner, "accuracy": round(accuracy(model, unseen, continues), 4)})
    print(curve[-1], flush=True)
    card = {"lines": len(lines), "tokens": sum(map(len, ids)), "pairs": len(short), "unigram_accuracy": round(unigram, 4), "curve": curve}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    weights = {**model.half().state_dict(), **{f"bert.pooler.{k}": v for k, v in pooler.half().state_dict().items()}}
    # All texts were read as first ones. Second ones begin like them: without a row for their type no pair could be read.
    types = "bert.embeddings.token_type_embeddings.weight"
    weights[types] = weights[types].repeat(2, 1)
    model.config.type_vocab_size = 2
    # The decoder is the word embeddings and predictions.bias.
    model.save_pretrained(out, state_dict={k: v for k, v in weights.items() if not k.startswith("cls.predictions.decoder.")})
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH).save_pretrained(out)


if __name__ == "__main__":
    main()
