"""Prints what the official tokenizers library makes of a corpus, as JSON lines.

    python compat_test/oracle/tokenize_fixtures.py TOKENIZER.json CORPUS.jsonl > GOLDEN.jsonl

Instead of a tokenizer.json it takes a model directory, which is then read, and its ids decoded, by the class of
transformers that its tokenizer_config.json names, or by BertTokenizer.
A line of the corpus is {"text": ...} or {"words": [...]}, optionally with "pair", and
optionally with "max_length", "strategy" and "stride", which the library's
truncation gets. The line printed for it holds the input, the encoding with special tokens
and without, its overflowing encodings, and the ids decoded. Where the library raises an
error, the encoding is null. The tokenizer file's own truncation and padding are switched off.
"""

import json
import os
import sys

from tokenizers import Tokenizer


def plain(encoding):
    return {
        "ids": encoding.ids,
        "type_ids": encoding.type_ids,
        "tokens": encoding.tokens,
        "offsets": [list(span) for span in encoding.offsets],
        "special": encoding.special_tokens_mask,
        "words": [-1 if word is None else word for word in encoding.word_ids],
        "sequences": [-1 if number is None else number for number in encoding.sequence_ids],
    }


def encode(tokenizer, line, special):
    try:
        tokenizer.no_truncation()
        if "max_length" in line:
            tokenizer.enable_truncation(
                line["max_length"], stride=line.get("stride", 0), strategy=line.get("strategy", "longest_first"))
        text = line.get("words", line.get("text"))
        return tokenizer.encode(text, line.get("pair"), is_pretokenized="words" in line, add_special_tokens=special)
    except Exception:  # noqa: BLE001  the library raises plain Exceptions
        return None


def read(path):
    """The tokenizer and its way to decode."""
    if not os.path.isdir(path):
        tokenizer = Tokenizer.from_file(path)
        return tokenizer, tokenizer.decode
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    import transformers  # slow to import, and not needed for files

    config = os.path.join(path, "tokenizer_config.json")
    name = "BertTokenizer"
    if os.path.exists(config):
        with open(config, encoding="utf-8") as file:
            name = json.load(file).get("tokenizer_class", name)
    tokenizer = getattr(transformers, name).from_pretrained(path)
    return tokenizer.backend_tokenizer, tokenizer.decode


def main(tokenizer_file, corpus):
    tokenizer, decode = read(tokenizer_file)
    tokenizer.no_padding()
    with open(corpus, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            out = {"input": line}
            for name, special in ("with", True), ("without", False):
                encoding = encode(tokenizer, line, special)
                out[name] = None if encoding is None else plain(encoding)
                if special and encoding is not None:
                    out["overflowing"] = [plain(window) for window in encoding.overflowing]
                    out["decoded"] = decode(encoding.ids, skip_special_tokens=False)
                    out["decoded_skip"] = decode(encoding.ids, skip_special_tokens=True)
            print(json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
