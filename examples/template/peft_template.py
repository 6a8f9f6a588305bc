"""Answers with an adapter that gopeft trained with --template, in Python: PEFT loads its vectors, this file its template.

    python peft_template.py ADAPTER BASE < objects.jsonl

Reads {"text": ...} a line, or whatever else the template has in braces, and prints {"label": ..., "scores": {...}}.
BASE is a masked or a causal language model of transformers. PEFT itself puts virtual tokens before a text; here they stand where
the template says, so the model is given embeddings. Tested with peft 0.21.2 and transformers 5.23.
"""

import json
import re
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

SLOT = re.compile(r"(\[MASK\]|\[P\d+\])")


class TemplateClassifier:
    def __init__(self, adapter, base):
        self.info = json.loads((Path(adapter) / "gopeft.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        causal = AutoConfig.from_pretrained(base).model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
        language = (AutoModelForCausalLM if causal else AutoModelForMaskedLM).from_pretrained(base, dtype=torch.float32)
        self.model = PeftModel.from_pretrained(language, adapter).eval()
        before = self.info["template"].split("[MASK]")[0]
        lead = " " if before.endswith(" ") else ""  # white space before the mask belongs to the word in it
        verbalizer = self.info.get("verbalizer")  # none: every token of the vocabulary is a label
        self.words = verbalizer and [[self.ids(lead + word) for word in verbalizer[label]] for label in self.info["labels"]]
        self.masks = max(len(word) for words in self.words for word in words) if self.words else 1
        whole, word = self.tokenizer("a").input_ids, self.ids("a")
        at = whole.index(word[0])
        self.before, self.after = whole[:at], whole[at + len(word) :]  # special tokens
        if causal:  # the answer is the token that comes next, and no mask is needed
            self.masks, self.after = 0, []

    def ids(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def encode(self, fields):
        """The tokens of an example: pairs of an id, or "[P1]" and its like, and the place of the field that it comes from."""
        tokens, places = [], 0
        pieces = SLOT.split(self.info["template"])
        for text, slot in zip(pieces[::2], pieces[1::2] + [None]):
            content, ends = "", []
            for literal, name in re.findall(r"([^{}]*)(?:\{([^{}]*)\})?", text):
                for part, is_field in ((literal, False), (fields[name] if name else "", bool(name))):
                    content += part
                    ends.append((len(content), places if is_field else None))
                    places += is_field
            encoded = self.tokenizer(content.rstrip(" ") if slot else content, add_special_tokens=False, return_offsets_mapping=True)
            for token, (_, end) in zip(encoded.input_ids, encoded.offset_mapping):
                tokens.append((token, next(place for last, place in ends if end <= last)))
            tokens += [(slot, None)] * (self.masks if slot == "[MASK]" else slot is not None)
        excess = len(self.before) + len(tokens) + len(self.after) - self.info["max_length"]
        for _ in range(max(0, excess)):  # the longest field loses its last token, the later of two equal ones
            lengths = [sum(place == p for _, place in tokens) for p in range(places)]
            longest = max(range(places), key=lambda p: (lengths[p], p))
            tokens.pop(max(i for i, (_, place) in enumerate(tokens) if place == longest))
        return self.before + [token for token, _ in tokens] + self.after

    @torch.no_grad()
    def scores(self, fields):
        """The logarithm of how likely each label is, but for a constant: [labels]."""
        tokens = self.encode(fields)
        ids = [token if isinstance(token, int) else self.tokenizer.mask_token_id or 0 for token in tokens]
        embeddings = self.model.get_base_model().get_input_embeddings()(torch.tensor([ids]))
        prompt = self.model.get_prompt(batch_size=1)[0]
        for i, token in enumerate(tokens):
            if str(token).startswith("[P"):
                embeddings[0, i] = prompt[int(token[2:-1]) - 1]
        logits = self.model.get_base_model()(inputs_embeds=embeddings).logits[0]
        masks = logits[[i for i, token in enumerate(tokens) if token == "[MASK]"] or [-1]].log_softmax(-1)
        if not self.words:
            return masks[0]
        mean = lambda values: sum(values) / len(values)
        return torch.stack([mean([mean([masks[i, token] for i, token in enumerate(word)]) for word in words]) for words in self.words])

    def classify(self, fields):
        probabilities = self.scores(fields).softmax(-1)
        best, top = probabilities.argmax().item(), probabilities.topk(min(10, len(probabilities))).indices.tolist()
        name = lambda label: self.info["labels"][label] if self.words else self.tokenizer.decode([label]).strip()
        return {"label": name(best), "scores": {name(label): probabilities[label].item() for label in top}}


if __name__ == "__main__":
    classifier = TemplateClassifier(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(classifier.classify(json.loads(line)), ensure_ascii=False))
