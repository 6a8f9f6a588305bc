package train

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
)

// pieces is a tokenizer whose tokens are up to three letters of a word; an id is the
// first letter's. [CLS] is 1, [SEP] 2.
type pieces struct{}

func (p pieces) Encode(text string, o *tokenize.Options) (tokenize.Encoding, error) {
	return p.encode(o, split(text, 0))
}

func (p pieces) EncodePair(text, pair string, o *tokenize.Options) (tokenize.Encoding, error) {
	return p.encode(o, split(text, 0), split(pair, 1))
}

func (p pieces) EncodeWords(words []string, o *tokenize.Options) (tokenize.Encoding, error) {
	var all []piece
	for i, w := range words {
		for _, x := range split(w, 0) {
			x.word = i
			all = append(all, x)
		}
	}
	return p.encode(o, all)
}

type piece struct {
	id, word, sequence int
	span               tokenize.Span
}

func split(text string, sequence int) []piece {
	var list []piece
	word, inside := -1, 0
	for i, r := range []rune(text) {
		switch {
		case unicode.IsSpace(r):
			inside = 0
			continue
		case inside == 0:
			word++
		}
		if inside%3 == 0 {
			list = append(list, piece{int(r), word, sequence, tokenize.Span{Start: i, End: i}})
		}
		list[len(list)-1].span.End++
		inside++
	}
	return list
}

func (pieces) encode(o *tokenize.Options, parts ...[]piece) (tokenize.Encoding, error) {
	if o == nil {
		o = &tokenize.Options{}
	}
	last := &parts[len(parts)-1]
	total := 1
	for _, part := range parts {
		total += len(part) + 1
	}
	if o.MaxLength > 0 && total > o.MaxLength {
		*last = (*last)[:len(*last)-(total-o.MaxLength)]
	}
	var e tokenize.Encoding
	add := func(x piece) {
		e.IDs, e.TypeIDs = append(e.IDs, x.id), append(e.TypeIDs, max(0, x.sequence))
		e.Offsets, e.Words, e.Sequences = append(e.Offsets, x.span), append(e.Words, x.word), append(e.Sequences, x.sequence)
		e.SpecialMask = append(e.SpecialMask, x.word < 0)
	}
	special := func(id int) {
		if !o.NoSpecialTokens {
			add(piece{id, -1, -1, tokenize.Span{}})
		}
	}
	special(1)
	for _, part := range parts {
		for _, x := range part {
			add(x)
		}
		special(2)
	}
	return e, nil
}

func TestEncode(t *testing.T) {
	const x = models.Ignored
	for name, c := range map[string]struct {
		example Example
		options EncodeOptions
		want    Feature // without context
	}{
		"class": {
			Example{Text: "a b", Label: "yes"},
			EncodeOptions{Labels: []string{"no", "yes"}},
			Feature{IDs: []int{1, 'a', 'b', 2}, TypeIDs: []int{0, 0, 0, 0}, Class: 1},
		},
		"pair": {
			Example{Text: "a", Pair: "b", Label: "no"},
			EncodeOptions{Labels: []string{"no", "yes"}},
			Feature{IDs: []int{1, 'a', 2, 'b', 2}, TypeIDs: []int{0, 0, 0, 1, 0}},
		},
		"regression": {
			Example{Text: "a", Label: "2.5"},
			EncodeOptions{ProblemType: models.Regression},
			Feature{IDs: []int{1, 'a', 2}, TypeIDs: []int{0, 0, 0}, Values: []float32{2.5}},
		},
		"several": {
			Example{Text: "a", Labels: []string{"z", "x"}},
			EncodeOptions{ProblemType: models.MultiLabel, Labels: []string{"x", "y", "z"}},
			Feature{IDs: []int{1, 'a', 2}, TypeIDs: []int{0, 0, 0}, Values: []float32{1, 0, 1}},
		},
		"tags": {
			Example{Words: []string{"abcd", "e", "fghijkl"}, Tags: []string{"B", "O", "B"}},
			EncodeOptions{Task: models.TokenCls, Labels: []string{"O", "B"}},
			Feature{IDs: []int{1, 'a', 'd', 'e', 'f', 'i', 'l', 2}, TypeIDs: make([]int, 8), Tags: []int{x, 1, x, 0, 1, x, x, x}},
		},
		"tags cut off": {
			Example{Words: []string{"abcd", "e"}, Tags: []string{"B", "O"}},
			EncodeOptions{Task: models.TokenCls, Labels: []string{"O", "B"}, MaxLength: 4},
			Feature{IDs: []int{1, 'a', 'd', 2}, TypeIDs: make([]int, 4), Tags: []int{x, 1, x, x}},
		},
		"answer": { // tokens: 1 q 2 ab cde f g 2; the answer is "cdef"
			Example{Text: "q", Pair: "ab cdef g", Answers: []Answer{{"cdef", 3}, {"ab", 0}}},
			EncodeOptions{Task: models.QuestionAns},
			Feature{IDs: []int{1, 'q', 2, 'a', 'c', 'f', 'g', 2}, TypeIDs: []int{0, 0, 0, 1, 1, 1, 1, 0}, Start: 4, End: 5},
		},
		"answer inside a token": {
			Example{Text: "q", Pair: "ab cdef g", Answers: []Answer{{"d", 4}}},
			EncodeOptions{Task: models.QuestionAns},
			Feature{IDs: []int{1, 'q', 2, 'a', 'c', 'f', 'g', 2}, TypeIDs: []int{0, 0, 0, 1, 1, 1, 1, 0}, Start: 4, End: 4},
		},
		"answer cut off": {
			Example{Text: "q", Pair: "ab cdef g", Answers: []Answer{{"cdef", 3}}},
			EncodeOptions{Task: models.QuestionAns, MaxLength: 6},
			Feature{IDs: []int{1, 'q', 2, 'a', 'c', 2}, TypeIDs: []int{0, 0, 0, 1, 1, 0}},
		},
		"no answer": {
			Example{Text: "q", Pair: "ab"},
			EncodeOptions{Task: models.QuestionAns},
			Feature{IDs: []int{1, 'q', 2, 'a', 2}, TypeIDs: []int{0, 0, 0, 1, 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(pieces{}, []Example{c.example}, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if (got[0].Context != nil) != (c.options.Task == models.QuestionAns) {
				t.Errorf("context is %v", got[0].Context)
			}
			got[0].Context = nil
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := Encode(pieces{}, []Example{{Text: "a", Label: "x", Line: 7}, {Text: "b", Label: "y", Line: 9}}, EncodeOptions{Labels: []string{"z"}})
	if !errors.Is(err, ErrExample) || !strings.Contains(err.Error(), `line 7: found label "x"`) || !strings.Contains(err.Error(), "line 9") {
		t.Errorf("found %v, want the labels of lines 7 and 9", err)
	}
}

func TestBestAnswer(t *testing.T) {
	features, err := Encode(pieces{}, []Example{{Text: "q", Pair: "ab cdef g"}}, EncodeOptions{Task: models.QuestionAns})
	if err != nil {
		t.Fatal(err)
	}
	// Rows are 1 q 2 ab cde f g 2. The highest scores lie outside of the context, and
	// the highest end before the highest start.
	scores := []float32{9, 9 /**/, 9, 9 /**/, 0, 0 /**/, 1, 6 /**/, 5, 0 /**/, 0, 3 /**/, 0, 2 /**/, 0, 9}
	for none, want := range map[bool]string{false: "cdef", true: ""} {
		if got := BestAnswer(features[0].Context, scores, none); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	scores[0], scores[1] = 4, 3.5
	if got := BestAnswer(features[0].Context, scores, true); got != "cdef" {
		t.Errorf("found %q, want cdef: 5+3 is more than 4+3.5", got)
	}
}

// Every epoch has each feature once; batches by tokens keep within their limit.
func TestBatches(t *testing.T) {
	features := make([]Feature, 37)
	for i := range features {
		features[i].IDs = make([]int, 1+i%9)
	}
	features[5].IDs = make([]int, 50)
	for _, p := range []plan{{batchSize: 4, accumulate: 3}, {batchTokens: 20, accumulate: 1}} {
		p.features, p.seed = features, 3
		var orders [][]int
		for epoch := range 2 {
			var order []int
			for _, step := range p.epoch(epoch) {
				if len(step) > p.accumulate {
					t.Errorf("a step of %d batches, want %d at most", len(step), p.accumulate)
				}
				for _, batch := range step {
					if p.batchTokens > 0 && len(batch) > 1 && tokensOf(pick(features, batch)) > p.batchTokens || p.batchSize > 0 && len(batch) > p.batchSize {
						t.Errorf("a batch of %d examples and %d tokens", len(batch), tokensOf(pick(features, batch)))
					}
					order = append(order, batch...)
				}
			}
			seen := map[int]bool{}
			for _, i := range order {
				seen[i] = true
			}
			if len(order) != 37 || len(seen) != 37 {
				t.Errorf("an epoch of %d features, %d different, want 37", len(order), len(seen))
			}
			orders = append(orders, order)
		}
		if cmp.Equal(orders[0], orders[1]) {
			t.Error("two epochs have one order")
		}
	}
}

// TestSameProblems wants what many examples have told once.
func TestSameProblems(t *testing.T) {
	var examples []Example
	for line := range 30 {
		examples = append(examples, Example{Text: "a", Label: "yes", Line: line + 2})
	}
	examples[7].Label = "no"
	_, err := Encode(pieces{}, examples, EncodeOptions{Labels: []string{"a", "b"}})
	want := "wrong example in line 2: found label \"yes\", want one of [\"a\" \"b\"], and so in 28 more\n" +
		"wrong example in line 9: found label \"no\", want one of [\"a\" \"b\"]"
	if !errors.Is(err, ErrExample) || err.Error() != want {
		t.Errorf("found %v, want %s", err, want)
	}
}
