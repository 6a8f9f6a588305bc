package tokenize

import "unicode/utf8"

// text is a stretch of the input on its way to the model. Normalisers rewrite
// it, pre-tokenisers cut it into words; each byte remembers which characters
// of the original it stands for.
type text struct {
	bytes []byte  // valid UTF-8
	from  []int32 // per byte: the first original character it comes from
	to    []int32 // per byte: the original character after the last it comes from
	words []span  // byte ranges, in order, without empty ones
	spare []span  // memory for the next words
	other *text   // memory for what a pre-tokeniser writes; nil: none yet
}

// span is a range of bytes.
type span struct{ start, end int32 }

func (t *text) reset() {
	t.bytes, t.from, t.to, t.words = t.bytes[:0], t.from[:0], t.to[:0], t.words[:0]
}

// load fills t with s, whose first character is number first of the original.
// Each byte that is not valid UTF-8 becomes U+FFFD. It returns the number of the character after s.
func (t *text) load(s string, first int32) int32 {
	t.reset()
	for _, r := range s {
		t.put(r, first, first+1)
		first++
	}
	return first
}

// put appends one character that stands for the characters [from, to) of the original.
func (t *text) put(r rune, from, to int32) {
	if r < utf8.RuneSelf {
		t.putByte(byte(r), from, to)
		return
	}
	size := len(t.bytes)
	t.bytes = utf8.AppendRune(t.bytes, r)
	for range len(t.bytes) - size {
		t.from = append(t.from, from)
		t.to = append(t.to, to)
	}
}

func (t *text) putByte(b byte, from, to int32) {
	t.bytes = append(t.bytes, b)
	t.from = append(t.from, from)
	t.to = append(t.to, to)
}

// original returns the characters of the original that the bytes of word stand for.
func (t *text) original(word span) (from, to int32) {
	return t.from[word.start], t.to[word.end-1]
}

// oneWord makes the bytes [start, end) the only word.
func (t *text) oneWord(start, end int) {
	t.words = append(t.words[:0], span{int32(start), int32(end)})
}

// putString appends a string that stands for the characters [from, to) of the original.
func (t *text) putString(s string, from, to int32) {
	for _, r := range s {
		t.put(r, from, to)
	}
}
