package tokenize

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Description is a tokenizer that is in no tokenizer.json, for the readers of other files:
// the stages as that file would have them, and the model's lists, which are long, as they are.
// It is Unigram where there are Scores, and BPE where there are none.
//
// Byte-level BPE, as GPT-2's, is
//
//	Description{Tokens: tokens, Merges: merges,
//		PreTokenizer: `{"type": "ByteLevel", "add_prefix_space": false}`, Decoder: `{"type": "ByteLevel"}`}
//
// and sentencepiece's BPE, as Llama's, where [MergesOf] finds the merges,
//
//	Description{Tokens: tokens, Merges: MergesOf(tokens, scores), Unknown: "<unk>", FuseUnknown: true, ByteFallback: true,
//		PreTokenizer: `{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}`,
//		Decoder: `{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
//			{"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}`}
type Description struct {
	Normalizer    string // JSON; "": none, as for the other stages
	PreTokenizer  string
	PostProcessor string
	Decoder       string

	Tokens       []string    // by id; of BPE, "": none
	Scores       []float64   // of Unigram, one a token
	Merges       [][2]string // of BPE, the first learnt first
	Unknown      string      // the token of unknown characters; "": none
	FuseUnknown  bool        // BPE: neighbouring unknown characters are one token; in Unigram they always are
	ByteFallback bool        // unknown characters are written as bytes, <0x41>
	IgnoreMerges bool        // BPE: words that are tokens stay whole

	Added []AddedToken
	Roles Roles
}

// New makes the tokenizer of a description; name stands for it in messages. What is wrong
// with it is reported as by [Parse].
func New(name string, d Description) (*Tokenizer, error) {
	log := &problems{file: name}
	root := &object{read: map[string]bool{}, log: log, fields: map[string]json.RawMessage{}}
	for field, stage := range map[string]string{
		"normalizer": d.Normalizer, "pre_tokenizer": d.PreTokenizer, "post_processor": d.PostProcessor, "decoder": d.Decoder,
	} {
		if stage != "" {
			root.fields[field] = json.RawMessage(stage)
		}
	}
	t := readStages(root)
	t.model = d.model(log)
	if err := log.err(); err != nil {
		return nil, err
	}
	t.added = newAddedTokens(d.Added, t.model, t.normalizer, log)
	t.special = t.specialIDs(d.Roles)
	if err := log.err(); err != nil {
		return nil, err
	}
	return t, nil
}

func (d *Description) model(log *problems) model {
	vocab := make(map[string]int, len(d.Tokens))
	for id, token := range d.Tokens {
		if token == "" && d.Scores == nil {
			continue // an id without a token
		}
		if other, taken := vocab[token]; taken && d.Scores == nil {
			log.add("tokens", fmt.Sprintf("%q at %d and %d", token, other, id), "one id a token")
		}
		vocab[token] = id
	}
	unknown, known := vocab[d.Unknown]
	switch {
	case d.Unknown == "":
		unknown = -1
	case !known:
		log.add("unknown token", quoted(d.Unknown), "one of the tokens")
	}
	if d.Scores == nil {
		return d.bpe(vocab, unknown, log)
	}
	if len(d.Scores) != len(d.Tokens) {
		log.add("scores", fmt.Sprint(len(d.Scores)), fmt.Sprintf("%d, as there are tokens", len(d.Tokens)))
		return nil
	}
	pieces := make([]scoredToken, len(d.Tokens))
	for id, token := range d.Tokens {
		pieces[id] = scoredToken{token, d.Scores[id]}
	}
	return newUnigram(pieces, unknown, d.ByteFallback)
}

func (d *Description) bpe(vocab map[string]int, unknown int, log *problems) model {
	m := &bpe{
		vocabulary: vocabulary{vocab, make(map[int]string, len(vocab))},
		merges:     make(map[pair]merge, len(d.Merges)), unknown: int32(unknown),
		fuseUnknown: d.FuseUnknown, byteFallback: d.ByteFallback, ignoreMerges: d.IgnoreMerges,
	}
	for token, id := range vocab {
		m.tokens[id] = token
	}
	for rank, parts := range d.Merges {
		if !m.addMerge(rank, parts) {
			log.add("merges", fmt.Sprintf("%q at %d", strings.Join(parts[:], " "), rank), "two tokens that make a third one")
			return nil
		}
	}
	return m
}

// MergesOf returns the merges of a BPE vocabulary of which only the tokens, by id, are
// known, in the order of their ids or, with scores, from the highest score down. Every pair
// of tokens that makes a third one counts.
// Source: transformers 5.23, tokenization_utils_base.py, generate_merges.
func MergesOf(tokens []string, scores []float64) [][2]string {
	ids := make(map[string]int, len(tokens))
	for id, token := range tokens {
		ids[token] = id
	}
	type found struct {
		parts [2]string
		key   [3]float64 // what they are ordered by: the whole, and the lengths of the parts in characters
	}
	var merges []found
	for id, token := range tokens {
		key := float64(id)
		if scores != nil {
			key = scores[id]
		}
		first := len(merges)
		characters := []rune(token)
		for cut := 1; cut < len(characters); cut++ {
			left, right := string(characters[:cut]), string(characters[cut:])
			_, knownLeft := ids[left]
			_, knownRight := ids[right]
			if knownLeft && knownRight {
				merges = append(merges, found{[2]string{left, right}, [3]float64{key, float64(cut), float64(len(characters) - cut)}})
			}
		}
		slices.SortFunc(merges[first:], func(a, b found) int {
			return cmp.Or(cmp.Compare(ids[a.parts[0]], ids[b.parts[0]]), cmp.Compare(ids[a.parts[1]], ids[b.parts[1]]))
		})
	}
	slices.SortStableFunc(merges, func(a, b found) int {
		if scores != nil {
			a, b = b, a
		}
		return slices.Compare(a.key[:], b.key[:])
	})
	parts := make([][2]string, len(merges))
	for i, m := range merges {
		parts[i] = m.parts
	}
	return parts
}
