"""Makes tokenize/testdata/directories: model directories without a tokenizer.json, and what transformers makes of them.

    python compat_test/oracle/tokenize_directories.py tokenize/testdata [NAME...]

It needs sentencepiece 0.2.3 and protobuf 7.36.2 beside requirements.txt: transformers reads sentencepiece models with them.
The models are trained on the sentences of tokenize_tiny.py. Models that are there already are kept.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import sentencepiece
from tokenize_tiny import PIECES, write_golden

RULES = {"fi": "ﬁ", "TM": "™", " ": "\u3000", "é": "e\u0301"}

# The files of each directory, and its tokenizer_config.json.
BYTES = {"vocab.json": "vocab.json", "merges.txt": "merges.txt"}
DIRECTORIES = {
    "t5": ({"spiece.model": "t5.model"}, {"tokenizer_class": "T5Tokenizer", "extra_ids": 5, "clean_up_tokenization_spaces": True}),
    "albert": ({"spiece.model": "albert.model"}, {"tokenizer_class": "AlbertTokenizer"}),
    "xlmr": ({"sentencepiece.bpe.model": "plain.model"}, {"tokenizer_class": "XLMRobertaTokenizer", "mask_token": {
        "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False, "__type": "AddedToken"}}),
    "camembert": ({"sentencepiece.bpe.model": "plain.model"}, {"tokenizer_class": "CamembertTokenizer"}),
    "mbart": ({"sentencepiece.bpe.model": "plain.model"}, {"tokenizer_class": "MBartTokenizer", "src_lang": "de_DE"}),
    "pegasus": ({"spiece.model": "t5.model"}, {"tokenizer_class": "PegasusTokenizer", "offset": 9, "clean_up_tokenization_spaces": True}),
    "deberta": ({"spm.model": "plain.model"}, {"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": True, "split_by_punct": True,
                                               "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "</s>"}),
    "llama": ({"tokenizer.model": "bpe.model"}, {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}),
    "llama-legacy": ({"tokenizer.model": "bpe.model"}, {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_eos_token": True, "added_tokens_decoder": {
        "700": {"content": "<|end|>", "lstrip": False, "normalized": False, "rstrip": True, "single_word": False, "special": True}}}),
    "gemma": ({"tokenizer.model": "bpe.model"}, {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}),
    "gpt2": (BYTES, {"tokenizer_class": "GPT2Tokenizer", "bos_token": "</s>", "add_bos_token": True, "clean_up_tokenization_spaces": True}),
    "codegen": (BYTES, {"tokenizer_class": "CodeGenTokenizer", "add_prefix_space": True}),
    "roberta": (BYTES, {"tokenizer_class": "RobertaTokenizer"}),
    "deberta-v1": (BYTES, {"tokenizer_class": "DebertaTokenizer", "sep_token": "</s>"}),
    "qwen2": (BYTES, {"tokenizer_class": "Qwen2Tokenizer"}),
}


def train(path, **options):
    with tempfile.TemporaryDirectory() as folder:
        text, rules = Path(folder, "text"), Path(folder, "rules.tsv")
        text.write_text("\n".join(PIECES * 3))
        rules.write_text("".join(
            " ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n" for new, old in RULES.items()))
        if options.pop("rules", False):
            options["normalization_rule_tsv"] = str(rules)
        else:
            options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(path.with_suffix("")), character_coverage=0.98, minloglevel=2, **options)
        path.with_suffix(".vocab").unlink()


MODELS = {
    "t5.model": {"model_type": "unigram", "vocab_size": 300, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "rules": True},
    "albert.model": {"model_type": "unigram", "vocab_size": 300, "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1,
                     "control_symbols": ["[CLS]", "[SEP]"], "user_defined_symbols": ["[MASK]"], "rules": True},
    "plain.model": {"model_type": "unigram", "vocab_size": 300, "user_defined_symbols": ["<sep>"]},
    "bpe.model": {"model_type": "bpe", "vocab_size": 700, "byte_fallback": True, "user_defined_symbols": ["<turn>"], "control_symbols": ["<ctl>"]},
}


def main(testdata, *only):
    folder = Path(testdata, "directories")
    folder.mkdir(exist_ok=True)
    for name, options in MODELS.items():
        if not (folder / name).exists():
            train(folder / name, **options)
    model = json.loads(Path(testdata, "bytes-digits.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(merge) + "\n" for merge in model["merges"]))
    (folder / "directories.json").write_text(json.dumps(
        {name: {"files": files, "config": config} for name, (files, config) in DIRECTORIES.items()}, indent=1, ensure_ascii=False) + "\n")
    lines = [line for line in Path(testdata, "corpus.jsonl").read_text().splitlines(keepends=True) if "stride" not in line][::8]
    for name, (files, config) in DIRECTORIES.items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as built, tempfile.NamedTemporaryFile("w", suffix=".jsonl") as part:
            part.writelines(lines)
            part.flush()
            for file, source in files.items():
                Path(built, file).write_bytes((folder / source).read_bytes())
            Path(built, "tokenizer_config.json").write_text(json.dumps(config))
            write_golden(folder / f"{name}.golden.jsonl.gz", built, part.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
