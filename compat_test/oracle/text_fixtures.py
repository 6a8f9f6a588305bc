"""Makes train/testdata/texts.json with sacrebleu 2.6.0 and rouge-score 0.1.2 (pip install sacrebleu==2.6.0 rouge-score==0.1.2).

    python compat_test/oracle/text_fixtures.py train/testdata

Corpora of texts with their references, and the scores that the two packages give them by default.
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import sacrebleu
from rouge_score import rouge_scorer

CORPORA = [
    [["the cat sat on the mat .", ["the cat is on the mat .", "there is a cat on the mat ."]]],
    [["", ["a reference"]], ["some words here", ["some words there"]]],
    [["nothing alike", ["wholly other words than those"]]],
    [["one two", ["one two"]]],
    [["exactly the same five words", ["exactly the same five words"]], ["Price: $3.50, i.e. 20-30% &amp; more!", ["Price: $3.50 (i.e. 20-30 %) & more."]]],
    [
        ["The Eagle is a low rated coffee shop near Burger King.", ["The Eagle is a low-rated coffee shop near Burger King and the riverside.", "Near Burger King, The Eagle is low rated."]],
        ["Alimentum serves cheap food in the city centre", ["In the city centre, Alimentum serves cheap food; it's not family-friendly."]],
        ["the the the the the the", ["the cat the dog", "a"]],
    ],
    [["état à l'œuvre, 1,000.5 <b>bold</b> a-b 3-4", ["état a l'œuvre , 1,000.5 bold a-b 3-4"]], ["日本 語 text one two", ["日本 text one two"]]],
    [["short", ["a much longer reference than the text itself"]], ["a b c d e f g", ["a b c d", "a b c d e f g h i j"]]],
    [["a part\x1cof İstanbul\x1d and \x1f its İİ\x1c", ["a part of İstanbul and its İİ \x1e"]]],
    [["Line\nbroken-\nword {x} [y] `z` ~", ["Line brokenword {x} [y] `z` ~"]]],
]


def scores(corpus):
    texts, references = [text for text, _ in corpus], [refs for _, refs in corpus]
    most = max(len(refs) for refs in references)
    streams = [[refs[i] if i < len(refs) else None for refs in references] for i in range(most)]
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    rouge = [{name: max(scorer.score(ref, text)[name].fmeasure for ref in refs) for name in ("rouge1", "rouge2", "rougeL")} for text, refs in corpus]
    return {"texts": texts, "references": references, "bleu": sacrebleu.corpus_bleu(texts, streams).score, "rouge": rouge}


if __name__ == "__main__":
    versions = {name: importlib.metadata.version(name) for name in ("sacrebleu", "rouge-score")}
    out = {"versions": versions, "corpora": [scores(corpus) for corpus in CORPORA]}
    Path(sys.argv[1], "texts.json").write_text(json.dumps(out, indent=1) + "\n")
