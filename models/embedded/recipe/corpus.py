"""WordNet 3.0 as running text for both language models, and as the domain task.

WordNet's data files are described in its manual, wndb(5WN): a line is a synset,
its offset, the number of the lexicographer file, its words, its pointers, and after
"|" its gloss with examples in quotes.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

# Lexicographer files of nouns, lexnames(5WN): the ten classes of the task.
DOMAINS = {4: "act", 5: "animal", 6: "artifact", 8: "body", 10: "communication",
           12: "feeling", 13: "food", 18: "person", 20: "plant", 27: "substance"}
TRAIN, DEV, TEST = 250, 40, 80  # examples a class; feeling, the smallest, has fewer than 420 distinct glosses
HELD_OUT = 2000  # synsets whose glosses measure the language model
SEED = 1
NAMES = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}

# Pointers worth a sentence, wninput(5WN): symbol -> the sentence for each part of speech.
SENTENCES = {
    ("n", "@"): "{0} is a kind of {1}.", ("n", "@i"): "{0} is a {1}.",
    ("n", "#m"): "{0} is a member of {1}.", ("n", "#p"): "{0} is a part of {1}.",
    ("n", "#s"): "{0} is a substance of {1}.", ("v", "@"): "to {0} is one way to {1}.",
    ("v", "*"): "to {0} entails to {1}.", ("v", ">"): "to {0} causes to {1}.",
    ("a", "&"): "{0} is similar to {1}.", ("a", "="): "{0} describes {1}.",
    ("n", "!"): "{0} is the opposite of {1}.", ("v", "!"): "to {0} is the opposite of to {1}.",
    ("a", "!"): "{0} is the opposite of {1}.", ("r", "!"): "{0} is the opposite of {1}.",
    ("n", ";c"): "{0} belongs to the topic of {1}.", ("v", ";c"): "to {0} belongs to the topic of {1}.",
}


@dataclass
class Synset:
    key: tuple[str, str]  # part of speech, offset
    domain: int
    words: list[str]
    pointers: list[tuple[str, tuple[str, str]]]
    gloss: str
    examples: list[str]


def read(folder: Path) -> dict[tuple[str, str], Synset]:
    synsets = {}
    for name, pos in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
        for line in (folder / f"data.{name}").read_text().splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields, text = line.split(" | ", 1)
            fields = fields.split()
            count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in fields[4:4 + 2 * count:2]]
            at = 4 + 2 * count
            pointers = [(fields[i], (fields[i + 2].replace("s", "a"), fields[i + 1]))
                        for i in range(at + 1, at + 1 + 4 * int(fields[at]), 4)]
            examples = [e.strip(" ;,-") for e in re.findall(r'"([^"]+)"?', text)]
            gloss = text.split('"')[0].strip(" ;:,-")
            key = (pos, fields[0])
            synsets[key] = Synset(key, int(fields[1]), words, pointers, gloss, examples)
    return synsets


def task(synsets) -> dict[str, list[tuple[str, str]]]:
    """The files of the task: (gloss, domain) each. No gloss is in two classes or twice."""
    owners: dict[str, set[int]] = {}
    for s in synsets.values():
        if s.key[0] == "n":
            owners.setdefault(s.gloss, set()).add(s.domain)
    files = {"train": [], "dev": [], "test": []}
    shuffle = random.Random(SEED)
    for number, domain in DOMAINS.items():
        glosses = sorted(g for g, o in owners.items() if o == {number} and len(g.split()) >= 3)
        shuffle.shuffle(glosses)
        for name, at, n in (("train", 0, TRAIN), ("dev", TRAIN, DEV), ("test", TRAIN + DEV, TEST)):
            files[name] += [(g, domain) for g in glosses[at:at + n]]
            assert len(glosses) >= at + n, domain
    for rows in files.values():
        shuffle.shuffle(rows)
    return files


def pairs(synsets, kept_out: set[str]) -> list[tuple[str, str]]:
    """Two texts that mean nearly the same: a gloss and its words, a more general gloss, or an example."""
    found = []
    for s in synsets.values():
        if s.gloss in kept_out:
            continue
        found.append((s.gloss, ", ".join(s.words)))
        found += [(s.gloss, e) for e in s.examples]
        found += [(s.gloss, synsets[target].gloss) for symbol, target in s.pointers
                  if symbol in ("@", "&") and synsets[target].gloss not in kept_out]
    return sorted(set(found))


def text(synsets, task_files) -> tuple[list[str], list[str], set[str]]:
    """The lines to train on, the held-out glosses, and all glosses that are not trained on."""
    kept_out = {g for rows in task_files.values() for g, _ in rows}
    shuffle = random.Random(SEED + 1)
    rest = sorted({s.gloss for s in synsets.values()} - kept_out)
    held_out = shuffle.sample(rest, HELD_OUT)
    kept_out |= set(held_out)
    lines = []
    for s in synsets.values():
        if s.gloss not in kept_out:
            lines.append(f"{', '.join(s.words)}: {s.gloss}.")
            lines.append(s.gloss)
        lines += s.examples
        lines += relations(synsets, s, shuffle)
    lines = sorted(set(lines))
    shuffle.shuffle(lines)
    return lines, held_out, kept_out


def relations(synsets, s: Synset, shuffle) -> list[str]:
    """A sentence of each pointer of s, with one word of either side."""
    lines = []
    for symbol, target in s.pointers:
        if sentence := SENTENCES.get((s.key[0], symbol)):
            pair = shuffle.choice(s.words), shuffle.choice(synsets[target].words)
            if pair[0].islower() and pair[1].islower():  # no names: they are many, and rare
                lines.append(sentence.format(*pair))
    return lines


def head(word: str, s: Synset) -> str:
    return f"{word} ({NAMES[s.key[0]]}):"


def entries(synsets, kept_out: set[str]) -> list[str]:
    """The lines of the decoder, of the same glosses: an entry for each word, as in a dictionary, with the examples
    that show the word; a gloss and what it defines under each other; the other examples and the relations alone."""
    shuffle = random.Random(SEED + 2)
    lines = []
    for s in synsets.values():
        alone = list(s.examples)
        if s.gloss not in kept_out:
            lines.append(f"{s.gloss}\n{shuffle.choice(s.words)}")
            for word in s.words:
                shown = [e for e in s.examples if word.lower() in e.lower()]
                lines.append("; ".join([f"{head(word, s)} {s.gloss}", *(f'"{e}"' for e in shown)]))
                alone = [e for e in alone if e not in shown]
        lines += alone
        lines += relations(synsets, s, shuffle)
    lines = sorted(set(lines))
    shuffle.shuffle(lines)
    return lines


def definitions(synsets, glosses: set[str]) -> list[tuple[str, str]]:
    """The entries of glosses, without examples: the head of the first word, and what follows it."""
    return [(head(s.words[0], s), f" {s.gloss}") for s in synsets.values() if s.gloss in glosses]
