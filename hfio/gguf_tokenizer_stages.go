package hfio

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// stages returns what the kind of tokenizer decides: the model and what is around it.
func (t *ggufTokenizer) stages() map[string]any {
	switch t.model {
	case "gpt2":
		return t.byteLevel()
	case "llama":
		return t.sentencePiece()
	}
	t.problem("model", fmt.Sprintf("%q", t.model), "gpt2 or llama")
	return nil
}

// object is a JSON object.
type object = map[string]any

func bpe(vocabulary map[string]int, merges [][2]string, extra object) object {
	model := object{"type": "BPE", "dropout": nil, "unk_token": nil, "vocab": vocabulary, "merges": merges}
	maps.Copy(model, extra)
	return model
}

// byteLevel is GPT-2's kind of BPE.
func (t *ggufTokenizer) byteLevel() object {
	split, known := ggufSplits[t.pre]
	if !known {
		t.problem("pre", fmt.Sprintf("%q", t.pre), "one of "+strings.Join(slices.Sorted(maps.Keys(ggufSplits)), ", "))
	}
	return object{
		"pre_tokenizer": split.preTokenizer(),
		"decoder":       object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model": bpe(t.vocabulary(), t.listedMerges(), object{
			"continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": split.wholeWords,
		}),
	}
}

// ggufSplit is how text is cut into words.
type ggufSplit struct {
	digits     bool   // each digit is a word
	regex      string // "": GPT-2's own
	wholeWords bool   // a word that is a token is not built from merges
}

func (s ggufSplit) preTokenizer() object {
	bytes := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": s.regex == ""}
	var before object
	switch {
	case s.digits:
		before = object{"type": "Digits", "individual_digits": true}
	case s.regex != "":
		before = object{"type": "Split", "pattern": object{"Regex": s.regex}, "behavior": "Isolated", "invert": false}
	default:
		return bytes
	}
	return object{"type": "Sequence", "pretokenizers": []object{before, bytes}}
}

// The regular expressions of tokenizer.ggml.pre.
// Source: transformers, gguf_tokenizer_mapping.py; which of them take whole words, and the
// digits, are llama.cpp's (llama-vocab.cpp) and those of the models' own tokenizer.json.
const (
	gptContractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	gptTail         = `|\s*[\r\n]+|\s+(?!\S)|\s+`
	llama3Regex     = gptContractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*` + gptTail
	qwen2Regex      = gptContractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*` + gptTail
	bloomRegex      = ` ?[^(\s|[.,!?…。，、।۔،])]+`
	casedSmalls     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	casedCapitals   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	casedTail       = `| ?[^\s\p{L}\p{N}]+[\r\n/]*` + gptTail
	tekkenRegex     = casedSmalls + `|` + casedCapitals + `|\p{N}` + casedTail
	gpt4oRegex      = casedSmalls + gptContractions + `?|` + casedCapitals + gptContractions + `?|\p{N}{1,3}` + casedTail
)

var ggufSplits = map[string]ggufSplit{
	"": {}, "default": {}, "gpt-2": {},
	"smollm": {digits: true}, "starcoder": {digits: true}, "refact": {digits: true},
	"llama3": {regex: llama3Regex, wholeWords: true}, "llama-v3": {regex: llama3Regex, wholeWords: true}, "llama-bpe": {regex: llama3Regex, wholeWords: true},
	"bloom": {regex: bloomRegex}, "gpt3-finnish": {regex: bloomRegex},
	"dbrx": {regex: llama3Regex}, "gpt-4o": {regex: gpt4oRegex},
	"tekken": {regex: tekkenRegex, wholeWords: true},
	"qwen2":  {regex: qwen2Regex}, "deepseek-r1-qwen": {regex: qwen2Regex},
}

// sentencePiece is Llama's kind of BPE, with Gemma's and Phi-3's ways around it.
func (t *ggufTokenizer) sentencePiece() object {
	decoders := []object{{"type": "Replace", "pattern": object{"String": metaspace}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	replaced := object{"type": "Replace", "pattern": object{"String": " "}, "content": metaspace}
	stages := object{"pre_tokenizer": nil}
	unknown := any(nil)
	switch {
	case strings.HasPrefix(t.architecture, "gemma"):
		stages["normalizer"] = replaced
		stages["pre_tokenizer"] = object{"type": "Split", "pattern": object{"String": " "}, "behavior": "MergedWithPrevious", "invert": false}
		unknown = "<unk>"
	case t.architecture == "phi3":
		stages["normalizer"] = object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": metaspace}, replaced}}
	default:
		stages["pre_tokenizer"] = object{"type": "Metaspace", "replacement": metaspace, "prepend_scheme": "first", "split": false}
	}
	if unknown == nil {
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	stages["decoder"] = object{"type": "Sequence", "decoders": decoders}
	vocabulary := t.vocabulary()
	merges := t.listedMerges()
	if len(merges) == 0 {
		merges = t.impliedMerges(vocabulary)
	}
	stages["model"] = bpe(vocabulary, merges, object{
		"unk_token": unknown, "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
	})
	return stages
}

// listedMerges returns the merges that the file lists.
func (t *ggufTokenizer) listedMerges() [][2]string {
	merges := make([][2]string, len(t.merges))
	for i, merge := range t.merges {
		left, right, ok := strings.Cut(merge, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			t.problem("merges", fmt.Sprintf("%.40q at %d", merge, i), "two tokens")
		}
		merges[i] = [2]string{left, right}
	}
	return merges
}

// impliedMerges returns the merges of a vocabulary that comes without: each token from
// two others, the likeliest first. Gemma's scores do not follow the order of its merges,
// that of its tokens does.
// Source: transformers, tokenization_utils_base.py, generate_merges.
func (t *ggufTokenizer) impliedMerges(vocabulary map[string]int) [][2]string {
	type merge struct {
		pair  [2]string
		score float64
	}
	if len(t.scores) != len(t.tokens) {
		t.problem("scores", fmt.Sprint(len(t.scores)), fmt.Sprintf("%d, one a token", len(t.tokens)))
		return nil
	}
	var merges []merge
	for id := range t.tokens {
		token, score := t.spelled(id), t.scores[id]
		if strings.HasPrefix(t.architecture, "gemma") {
			score = float64(-id)
		}
		first := len(merges)
		for at := range token {
			left, right := token[:at], token[at:]
			_, isLeft := vocabulary[left]
			if _, isRight := vocabulary[right]; isLeft && isRight {
				merges = append(merges, merge{[2]string{left, right}, score})
			}
		}
		slices.SortStableFunc(merges[first:], func(a, b merge) int {
			return cmp.Or(cmp.Compare(vocabulary[a.pair[0]], vocabulary[b.pair[0]]), cmp.Compare(vocabulary[a.pair[1]], vocabulary[b.pair[1]]))
		})
	}
	length := utf8.RuneCountInString
	// Python's reverse keeps the order of equals.
	slices.SortStableFunc(merges, func(a, b merge) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(length(b.pair[0]), length(a.pair[0])), cmp.Compare(length(b.pair[1]), length(a.pair[1])))
	})
	pairs := make([][2]string, len(merges))
	for i, m := range merges {
		pairs[i] = m.pair
	}
	return pairs
}
