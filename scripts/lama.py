"""Probes the embedded base for facts: LAMA's T-REx relations, patterns written by hand against trained templates.

    python3 scripts/lama.py LAMA gopeft OUTPUT [RELATION...]

LAMA holds objects/ and patterns/, a JSONL file a relation (github.com/yanaiela/pararel, data/trex_lms_vocab and
data/pattern_data/graphs_json); gopeft is the program. Facts whose object is no token of the base are left out, as
LAMA does; the others are shuffled by a hash and cut into 60 % to train with, 20 % to choose with and 20 % to report.
Relations with fewer than 100 facts are left out. P@1 is over the whole vocabulary. A run that is there is not made again.
"""

import collections
import hashlib
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

TEMPLATE = "[P1][P2][P3] {subject} [P4][P5][P6] [MASK] [P7][P8][P9]."  # the paper's for BERT: (3, 3, 3)
FLAGS = "--encoder-reparameterization-type LSTM --learning-rate 3e-3 --num-train-epochs 8".split()
SEEDS = (1, 2, 3)


def lines(path):
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def prepare(lama, relation, vocabulary, folder):
    """Writes train, dev and test, and returns how many facts there are in each."""
    facts = {(fact["sub_label"], fact["obj_label"]) for fact in lines(lama / "objects" / f"{relation}.jsonl")}
    facts = [fact for fact in facts if fact[1].isalpha() and fact[1].lower() in vocabulary]
    facts.sort(key=lambda fact: hashlib.sha256("|".join(fact).encode()).digest())
    folder.mkdir(parents=True, exist_ok=True)
    cuts = [0, len(facts) * 6 // 10, len(facts) * 8 // 10, len(facts)]
    for name, start, end in zip(("train", "dev", "test"), cuts, cuts[1:]):
        text = "".join(json.dumps({"subject": s, "object": o}, ensure_ascii=False) + "\n" for s, o in facts[start:end])
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return len(facts)


class Probe:
    def __init__(self, gopeft, lama, relation, folder):
        self.gopeft, self.lama, self.relation, self.folder = gopeft, lama, relation, folder

    def run(self, *arguments):
        return subprocess.run([self.gopeft, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def accuracy(self, data, *arguments):
        out = self.run("eval", "--json", "--data", self.folder / f"{data}.jsonl", "--column", "label=object", *arguments)
        return 100 * json.loads(out)["metrics"]["accuracy"]

    def by_hand(self, data):
        """P@1 of every pattern; LAMA's own is the first."""
        patterns = [line["pattern"] for line in lines(self.lama / "patterns" / f"{self.relation}.jsonl")]
        return [self.accuracy(data, "--template", re.sub(r"\[X\]", "{subject}", p).replace("[Y]", "[MASK]")) for p in patterns]

    def majority(self):
        """P@1 of always saying the commonest object of the training facts."""
        train, test = ([line["object"].lower() for line in lines(self.folder / f"{name}.jsonl")] for name in ("train", "test"))
        commonest = collections.Counter(train).most_common(1)[0][0]
        return 100 * statistics.mean(word == commonest for word in test)

    def trained(self, seed):
        adapter, files = self.folder / f"seed{seed}", [self.folder / f"{name}.jsonl" for name in ("train", "dev")]
        if not (adapter / "adapter_config.json").exists():
            self.run("train", "--data", files[0], "--dev", files[1], "--column", "label=object", "--template", TEMPLATE, *FLAGS,
                     "--seed", seed, "--output", adapter)
        return self.accuracy("test", "--adapter", adapter)


def main(lama, gopeft, output, *relations):
    lama, output = Path(lama), Path(output)
    model = Path(__file__).parent.parent / "models" / "embedded" / "model" / "tokenizer.json"
    vocabulary = json.loads(model.read_text(encoding="utf-8"))["model"]["vocab"]
    relations = relations or sorted(path.stem for path in (lama / "patterns").glob("*.jsonl"))
    print("relation\tfacts\tcommonest\tLAMA's pattern\tbest pattern of dev\ttrained, mean\tsd")
    for relation in relations:
        facts = prepare(lama, relation, vocabulary, output / relation)
        if facts < 100:
            continue
        probe = Probe(gopeft, lama, relation, output / relation)
        by_hand, on_dev = probe.by_hand("test"), probe.by_hand("dev")
        best = by_hand[on_dev.index(max(on_dev))]
        trained = [probe.trained(seed) for seed in SEEDS]
        row = [probe.majority(), by_hand[0], best, statistics.mean(trained), statistics.stdev(trained)]
        print(relation, facts, *(f"{value:.1f}" for value in row), sep="\t", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
