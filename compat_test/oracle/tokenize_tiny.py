"""Makes tokenize/testdata: tiny tokenizers, an adversarial corpus, and what the official library makes of it.

    python compat_test/oracle/tokenize_tiny.py tokenize/testdata

Everything is made from the sentences below, which were written for this purpose. The trainer breaks ties in
no fixed order, so a tokenizer that is in the folder already is kept; remove it to train it again.
"""

import gzip
import hashlib
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = """
The quiet harbour filled with boats before the storm reached the northern islands.
She painted seven small lanterns and hung them above the kitchen window.
A careful engineer measures twice, writes everything down, and only then turns the valve.
We don't know whether the train is late; they've cancelled it twice this week.
Nobody expected the librarian's parrot to recite the complete timetable.
The experiment failed at 37.5 degrees, so we repeated it with 1,250 samples.
He wasn't sure if "forever" meant until Tuesday or until the soup was cold.
Unbelievably, the misunderstanding between the gardeners was resolved without shouting.
Please send the unsigned documents to the second office on the left, not the first.
Running water, running commentary and running costs have little in common.
The reviewers called the film wonderful, tedious, overlong and strangely moving.
An interpreter translated the chairman's speech while the delegates were sleeping.
Internationalization is hard; internationalizing emoji is harder.
My grandmother kept 24 jars of plum jam, 3 cats and one very old radio.
It was neither the best restaurant nor the worst, but the bread was unforgettable.
""".strip().splitlines()
ACCENTED = "Café crème à la carte, naïve façade; Ångström, Öl, señor, Łódź, Žižek, Việt Nam, İstanbul, ΣΊΣΥΦΟΣ."
HAN = "今天的天气很好我们去公园散步然后在湖边吃午饭图书馆里有很多旧书老师说明天考试"
KANA = "ひらがなとカタカナとガギグゲゴ"
SYMBOLS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~–—“”‘’…€£¥©®™°±×÷→∞≤≥√"

# Characters on which normalisers differ: marks that are no accents, marks of many
# classes, composed letters, old and young scripts, controls, and spaces of every kind.
ODD = (
    "\u0300\u0301\u0308\u0316\u0323\u0334\u0345\u0344\u0f71\u0f72\u0f73\u0f81\u302a\u302e\u302f\u1abf\u1df6\u08d4\u08ca"
    "\u1714\u1715\u1b44\u1baa\ua953\u1e2f\u01d6\u1ead\u0958\u09cb\ufb1d\uac01\ud7a3\uf900\ufa0e\U0002f800\U00011938"
    "\u0130\u1e9e\u03a3\u01c5\ua7cb\U00010d50\U0001e900\u00df\u200b\u200c\u200d\u200e\u2060\ufeff\ufffd\u00ad\u0085\u001c"
    "\u00a0\u1680\u2009\u2028\u2029\u202f\u3000\u180e\u0000\u0007\u007f\u009f\ue000\u0378\u3400\u4dbf\u4dc0\u9fff"
    "\U00020000\U0002b81f\U0002b820\U0002b920\U0002ceaf\U0002ceb0\U0002f81f\U0001f468\U0001f3fd\U0001d165\U0001d16d"
    "\u166d\u061d\u2e43\U000111c9\U00011660\u0890\U000110cd\U00013430\u0e33\u0eb3\u1cf7\ua9c0\U00016ff0\U0001d15e"
)


def train(lowercase, strip_accents, han):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=han, strip_accents=strip_accents, lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=1100, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator([*SENTENCES, ACCENTED, HAN, KANA, SYMBOLS], trainer)
    # Marks and rare letters as pieces of their own let the goldens show where they went.
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    normalize = tokenizer.normalizer.normalize_str
    for character in sorted({c for odd in ODD for c in normalize(odd) if not c.isspace()}):
        for token in (character, "##" + character):
            pieces.setdefault(token, len(pieces))
    tokenizer.model = models.WordPiece(pieces, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer


def template(tokenizer):
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids)


def variants():
    uncased = train(lowercase=True, strip_accents=None, han=True)
    template(uncased)
    uncased.enable_truncation(16)  # as files saved after training carry it: readers ignore it
    uncased.enable_padding(length=32)
    yield "uncased", uncased

    cased = train(lowercase=False, strip_accents=None, han=False)
    ids = {token: cased.token_to_id(token) for token in ("[CLS]", "[SEP]")}
    cased.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    cased.add_tokens([
        AddedToken("<mask>", lstrip=True, special=True, normalized=False),
        AddedToken("<right>", rstrip=True, special=True, normalized=False),
        AddedToken("<rightmost>", rstrip=True, lstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("Größe", normalized=True),
        AddedToken("ab", normalized=True),
        AddedToken("abc d", normalized=True),
        AddedToken("\u00a0tied", normalized=True, single_word=True),
    ])
    yield "cased", cased

    chinese = train(lowercase=False, strip_accents=True, han=True)
    template(chinese)
    chinese.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    chinese.add_tokens(["ＦＵＬＬ", "Éclair", "今天"])
    yield "chinese", chinese

    bare = Tokenizer(models.WordPiece(
        {"<unk>": 0, "a": 1, "b": 2, "@@b": 3, "@@a": 4, " ": 5, "@@ ": 6, "ab": 7}, unk_token="<unk>",
        continuing_subword_prefix="@@", max_input_chars_per_word=400))
    bare.add_tokens([  # the first takes spaces along that the others begin with
        AddedToken("<right>", rstrip=True, normalized=False), AddedToken("\u3000lead", normalized=False),
        AddedToken(" lead", normalized=False, lstrip=True), AddedToken("\u00e9\u3000", normalized=False)])
    yield "bare", bare


def train_bytes(pre_tokenizer, **model):
    """Byte-level BPE. The trainer cuts the sentences as the tokenizer will."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<s>", "</s>", "<mask>", "<|end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([*SENTENCES, ACCENTED, HAN, KANA, SYMBOLS, "  two  spaces\n\nand lines 2024"], trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    tokenizer.model = models.BPE(learnt["vocab"], [tuple(merge) for merge in learnt["merges"]], **model)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_variants():
    byte_level = pre_tokenizers.ByteLevel
    roberta = train_bytes(byte_level(add_prefix_space=True))
    roberta.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    roberta.add_tokens([AddedToken("<mask>", lstrip=True, special=True), AddedToken("ab", normalized=True)])
    yield "bytes-roberta", roberta

    digits = train_bytes(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(add_prefix_space=False)]))
    digits.post_processor = processors.ByteLevel(trim_offsets=False)
    digits.add_special_tokens(["<|end|>"])
    yield "bytes-digits", digits

    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    llama = train_bytes(pre_tokenizers.Sequence([split, byte_level(add_prefix_space=False, use_regex=False)]), ignore_merges=True)
    llama.normalizer = normalizers.NFC()
    begin = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)])
    llama.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), begin])
    llama.add_special_tokens(["<s>", "</s>", "<|end|>"])
    yield "bytes-llama3", llama

    # Phi-4 drops what its pattern does not find; Phi-2 has runs of spaces as tokens.
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    phi = train_bytes(pre_tokenizers.Sequence([split, byte_level(add_prefix_space=False, use_regex=False)]))
    phi.post_processor = processors.ByteLevel(trim_offsets=False)
    phi.add_tokens([AddedToken(" " * n, normalized=True) for n in (2, 3, 5)] + [AddedToken("<|end|>", rstrip=True, special=True)])
    yield "bytes-phi", phi


def bloom():
    pattern = " ?[^(\\s|[.,!?…。，、।۔،])]+"
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    bloom = train_bytes(pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    bloom.post_processor = processors.ByteLevel(trim_offsets=False)
    bloom.add_special_tokens(["<s>", "</s>"])
    yield "bytes-bloom", bloom


SMALLS = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
CAPITALS = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = SMALLS + CONTRACTIONS + "|" + CAPITALS + CONTRACTIONS + r"|\p{N}{1,3}" + REST
TEKKEN = SMALLS + "|" + CAPITALS + r"|\p{N}" + REST


def cased():
    for name, pattern in ("bytes-gpt4o", GPT4O), ("bytes-tekken", TEKKEN):
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        tokenizer = train_bytes(pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), ignore_merges=True)
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        tokenizer.add_special_tokens(["<s>", "</s>", "<|end|>"])
        yield name, tokenizer


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = [*SENTENCES, ACCENTED, HAN, KANA, SYMBOLS]


def train_pieces(bytes_of, **model):
    """BPE of sentencepiece's kind, with tokens for those bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>", *bytes_of], limit_alphabet=120, show_progress=False)
    tokenizer.train_from_iterator(PIECES, trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(learnt["vocab"], merges, unk_token="<unk>", byte_fallback=True, **model))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def sentencepiece_decoder(*more):
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *more])


def begin_with(token, number):
    return processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, number)])


def piece_variants():
    llama = train_pieces(BYTES, fuse_unk=True)
    llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama.decoder = sentencepiece_decoder(decoders.Strip(" ", 1, 0))
    llama.post_processor = begin_with("<s>", 1)
    llama.add_tokens([AddedToken("<|end|>", rstrip=True, normalized=False, special=True), AddedToken("<right>", normalized=True)])
    yield "pieces-llama2", llama

    mistral = train_pieces(BYTES, fuse_unk=False)
    mistral.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    mistral.decoder = sentencepiece_decoder(decoders.Strip(" ", 1, 0))
    mistral.post_processor = begin_with("<s>", 1)
    mistral.add_special_tokens(["[CLS]", "[SEP]"])
    yield "pieces-mistral", mistral

    # Without some of the bytes, so that there are unknown characters.
    gemma = train_pieces(BYTES[:0xE4], fuse_unk=True, ignore_merges=True)
    gemma.normalizer = normalizers.Replace(" ", "▁")
    gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    gemma.decoder = sentencepiece_decoder()
    gemma.post_processor = begin_with("<s>", 1)
    yield "pieces-gemma", gemma


def train_unigram(byte_fallback):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    extra = BYTES[:0xE4] if byte_fallback else []
    trainer = trainers.UnigramTrainer(
        vocab_size=700 + len(extra), special_tokens=["<pad>", "</s>", "<unk>", *extra], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(PIECES, trainer)
    learnt = [tuple(token) for token in json.loads(tokenizer.to_str())["model"]["vocab"]]
    return Tokenizer(models.Unigram(learnt, 2, byte_fallback))


def unigram_variants():
    t5 = train_unigram(byte_fallback=False)
    t5.normalizer = normalizers.Precompiled(charsmap(RULES))
    t5.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t5.decoder = decoders.Metaspace()
    t5.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    t5.add_special_tokens(["<pad>", "</s>", "<unk>", "<mask>"])
    yield "unigram-t5", t5

    albert = train_unigram(byte_fallback=True)
    albert.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.Strip(right=False), normalizers.NFKD(),
        normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")])
    albert.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    albert.decoder = decoders.Metaspace(prepend_scheme="never")
    albert.add_tokens([AddedToken("ab", normalized=True), AddedToken("[MASK]", lstrip=True, special=True)])
    albert.post_processor = begin_with("</s>", 1)
    yield "unigram-albert", albert

    # Every way to cut, and the normalisers that no other has.
    cuts = train_unigram(byte_fallback=False)
    cuts.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(left=False)])
    cuts.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Split("a", "merged_with_next"),
        pre_tokenizers.Split(" ", "merged_with_previous"), pre_tokenizers.Split("e", "removed"),
        pre_tokenizers.Split("s", "isolated", invert=True), pre_tokenizers.Metaspace(prepend_scheme="first")])
    cuts.decoder = decoders.Sequence([decoders.Replace("ab", "ba"), decoders.Fuse(), decoders.Metaspace(), decoders.Strip("b", 2, 0)])
    cuts.post_processor = begin_with("</s>", 1)
    yield "unigram-cuts", cuts


# What the real charsmaps have: composition, a rule for a character that others follow,
# removal, several characters for one, and one for several.
RULES = {
    "e\u0301": "\u00e9", "s\u0323": "\u1e63", "\ufb01": "fi", "\u2122": "TM", "\u3000": " ", "\u00a0": " ", "\r": " ", "\n": " ",
    "\t": " ", "\u200b": " ", "\u0007": "", "\u00ad": "", "\u200d": "", "\u212b": "\u00c5", "\u33a5": "m3", "\uff21": "A", "a\u0316b": "x"}


def charsmap(rules):
    """A precompiled charsmap: a double array, placed first come first served, and the texts."""
    texts, places = b"", {}
    for key, text in rules.items():
        places[key.encode()] = len(texts)
        texts += text.encode() + b"\0"
    units, used = [0] * 4096, {0}

    def place(prefix, at):
        labels = sorted({key[len(prefix)] for key in places if key.startswith(prefix) and key != prefix})
        leaf = prefix in places
        wanted = ([0] if leaf else []) + labels
        base = next(b for b in range(1, 2048) if not any(b ^ label in used for label in wanted))
        used.update(base ^ label for label in wanted)
        units[at] |= (base ^ at) << 10 | leaf << 8
        if leaf:
            units[base] = 1 << 31 | places[prefix]
        for label in labels:
            units[base ^ label] = label
            place(prefix + bytes([label]), base ^ label)

    place(b"", 0)
    units = units[: (max(used) | 255) + 1]
    return struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + texts


def directories(vocab):
    """Model directories without a tokenizer.json, as older models have them: file names and contents."""
    special = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    lines = "".join(token + "\n" for token in vocab)
    yield "directory-plain", {"vocab.txt": lines.replace("\n[MASK]\n", "\n[MASK] \r\n").rstrip("\n")}
    yield "directory-config", {
        "vocab.txt": lines + "the\n",
        "tokenizer_config.json": json.dumps({
            "do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False,
            "tokenizer_class": "BertTokenizer", "cls_token": "<s>", "mask_token": None,
            "unk_token": {**special, "content": "[UNK]", "__type": "AddedToken"},
            "added_tokens_decoder": {
                "9": {**special, "content": "<right>", "rstrip": True},
                "3": {**special, "content": "<mask>", "lstrip": True, "normalized": True, "special": False}},
            "extra_special_tokens": ["word"]})}
    yield "directory-legacy", {
        "vocab.txt": lines,
        "added_tokens.json": json.dumps({"ab": len(vocab) + 1, "<mask>": len(vocab)}),
        "special_tokens_map.json": json.dumps({
            "mask_token": "<mask>", "pad_token": {"content": "[PAD]", "lstrip": False, "normalized": False, "rstrip": False,
                                                  "single_word": False}})}


def texts():
    yield from SENTENCES
    yield from (ACCENTED, HAN, KANA, SYMBOLS, "", " ", "\n", "\r\n", "\u200b\u0000", "\u0301", "a", "ab", "aab b")
    yield from ("line\r\nline", "end.\n\nNext", "three   spaces", "ideographic\u3000space", "no\u00a0break", "tab\tfeed\fvt\v")
    yield from ("caf\u00e9 cafe\u0301", "\u1e69 s\u0323\u0307 s\u0307\u0323", "\u212b \u00c5 A\u030a", "Z̷̡̖a̴͍͊l̵̛̠g̶̤̈o̷̗͘")
    yield from ("漢字㐀㐁𠀀𠮷text漢", "word漢word", "𪛟𫜴\U0002b920", "ガ か\u3099 ｶﾞ", "각 \u1100\u1161\u11a8", "가\u0301")
    yield from ("👨\u200d👩\u200d👧 family", "👍🏽", "🇩🇪🇫🇷", "a\ufe0fb", "❤\ufe0f", "☺", "e\u20dd")
    yield from ("aaaa" * 5, "-" * 12, "...???!!!", "a,b.c", "it 's do not n't", "x ' y", "[UNK]", "[unk]", "[MASK][MASK]")
    yield from ("[SEP] a [CLS]", "[CLS] a [SEP]", "a[MASK]b", "[ MASK ]", "[CLS", "[[CLS]]", "[PAD][PAD]", "(MASK)")
    yield from ("a <mask> b", "a<mask>b", "  <mask>  <mask>  ", "<right>  <mask>", "x <right>  y", "<rightmost>  <right> z")
    yield from ("<right> \u3000\t <right>", "<rightmost><rightmost>", " <rightmost> ", "a <rightmost>\n<mask>", "<right><right")
    yield from ("<right> lead a", "\u00e9<right>\u3000lead b", "<right> \u3000 lead", "\u00e9\u3000 lead", "<right> \u3000\u3000lead\u3000lead")
    yield from ("a word here", "swordfish", "word", "word-word", "word_word", "words word", "\u00a0word\u3000", "éword", "word1")
    yield from ("Größe", "Gro\u0308ße", "die Größe.", "GRÖSSE größe", "abc d", "abcd", "xabc dy", "ab abc", "ab\u200bc d")
    yield from ("no\u00a0tied knot", "no tied knot", "\u00a0tiedx", "ＦＵＬＬ ＦＵＬＬ", "ＦＵ\u0301ＬＬ", "Éclair E\u0301clair Eclair", "今天 今 天")
    yield from ("a" * 99, "a" * 100, "a" * 101, "b" + "a" * 250, "ab" * 200, "ab" * 201, "é" * 100, "e\u0301" * 60, "漢" * 120)
    yield from ("user: hi\nassistant: hello\n", "<|im_start|>system\nBe brief.<|im_end|>", "if (x<=3) {y[i]+=f(x);}", "C:\\dir\\f.txt")
    yield from ("12,345.678e-9", "٣٤٥ ५६७ Ⅷ ½ ²", "http://example.org/?a=b&c=d#e", "a\u00adb", "\ufeffbom", "x\u202ey", "a\u2028b\u2029c")
    yield from (f"a{c}b {c}{c} {c}x" for c in ODD)


def mixtures(count, seed):
    """Random strings in which marks follow each other in every order."""
    rng = random.Random(seed)
    pool = list(ODD) + list("aAbé ÅÉ.漢 ") * 3
    special = ["[CLS]", "[MASK]", "<mask>", "<right>", " word ", "Größe", "今天", "ab", "Éclair"]
    for _ in range(count):
        text = "".join(rng.choice(pool) for _ in range(rng.randrange(1, 16)))
        yield text + (rng.choice(special) + rng.choice(pool) if rng.random() < 0.3 else "")


def corpus():
    for text in texts():
        yield {"text": text}
    for text in mixtures(150, seed=1):
        yield {"text": text}
    pairs = [("", ""), ("", "b"), ("a", ""), (SENTENCES[0], SENTENCES[3]), (HAN, ACCENTED), ("a [SEP] b", "c\u200b"), ("\u0301", "é")]
    for text, pair in pairs:
        yield {"text": text, "pair": pair}
    for words in ([], [""], ["a", "", "b"], SENTENCES[3].split(), ["two words", "caf\u00e9s", "漢字x"], ["[MASK]", " a ", "b\u0301c"]):
        yield {"words": words}
    yield {"words": SENTENCES[1].split(), "max_length": 9}
    for length in (2, 3, 4, 7, 12, 64):
        yield {"text": SENTENCES[2], "max_length": length}
    for length in (3, 4, 5, 6, 9, 10, 21, 30, 40, 200):
        for strategy in ("longest_first", "only_first", "only_second"):
            for text, pair in ((SENTENCES[0], SENTENCES[5]), (SENTENCES[9], "short one"), ("short one", SENTENCES[9]), ("", "a b c")):
                yield {"text": text, "pair": pair, "max_length": length, "strategy": strategy}
    for length, stride in ((16, 0), (16, 3), (20, 9), (13, 1), (24, 8), (64, 10)):
        yield {"text": "which boats?", "pair": SENTENCES[0] + " " + SENTENCES[8], "max_length": length, "stride": stride,
               "strategy": "only_second"}


def unicode_digests():
    """Digests of what the stages make of each character of Unicode, in blocks of 4096 characters."""
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    steps = {name: normalizers.BertNormalizer(**{**off, name: True}).normalize_str for name in off}
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    steps["nfkc"] = normalizers.NFKC().normalize_str
    steps["nfkd"] = normalizers.NFKD().normalize_str
    steps["StripAccents"] = normalizers.StripAccents().normalize_str
    steps["words"] = lambda text: "\x00".join(word for word, _ in split(text))
    cased = pre_tokenizers.Split(Regex(GPT4O), "isolated").pre_tokenize_str
    steps["cased words"] = lambda text: "\x00".join(word for word, _ in cased(text) + cased(text[1:-1] + "Bd"))
    digests = {}
    for name, step in steps.items():
        digests[name] = []
        for first in range(0, sys.maxunicode + 1, 4096):
            digest = hashlib.sha256()
            for code in range(first, first + 4096):
                if not 0xD800 <= code <= 0xDFFF:
                    digest.update(step(f"a{chr(code)}b").encode() + b"\n")
            digests[name].append(digest.hexdigest()[:16])
    return digests


def write_golden(path, tokenizer, lines):
    script = Path(__file__).with_name("tokenize_fixtures.py")
    golden = subprocess.run([sys.executable, script, tokenizer, lines], check=True, stdout=subprocess.PIPE).stdout
    path.write_bytes(gzip.compress(golden, mtime=0))


def main(folder):
    folder = Path(folder)
    corpus_file = folder / "corpus.jsonl"
    lines = [json.dumps(line) + "\n" for line in corpus()]
    corpus_file.write_text("".join(lines))
    for name, tokenizer in (*variants(), *byte_variants()):
        path = folder / f"{name}.json"
        if path.exists():
            tokenizer = Tokenizer.from_file(str(path))
        path.write_text(tokenizer.to_str() + "\n")
        write_golden(folder / f"{name}.golden.jsonl.gz", path, corpus_file)
        if name == "cased":
            vocab = tokenizer.get_vocab(with_added_tokens=False)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as part:
        part.writelines(lines[::3])
        part.flush()
        for name, tokenizer in (*bloom(), *cased(), *piece_variants(), *unigram_variants()):
            path = folder / f"{name}.json"
            if path.exists():
                tokenizer = Tokenizer.from_file(str(path))
            path.write_text(tokenizer.to_str() + "\n")
            write_golden(folder / f"{name}.golden.jsonl.gz", path, part.name)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as part:
        part.writelines(lines[::4])
        part.flush()
        for name, files in directories(sorted(vocab, key=vocab.get)):
            (folder / name).mkdir(exist_ok=True)
            for file, content in files.items():
                (folder / name / file).write_text(content, newline="")
            write_golden(folder / f"{name}.golden.jsonl.gz", folder / name, part.name)
    (folder / "unicode.json").write_text(json.dumps(unicode_digests(), indent=0) + "\n")
    print(f"made with tokenizers {tokenizers.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
