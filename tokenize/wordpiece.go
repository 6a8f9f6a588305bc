package tokenize

import (
	"fmt"
	"math"
	"unicode/utf8"

	sugarme "github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// wordPiece finds the longest known piece at the start of a word, then the
// longest known continuation, and so on; a word that does not come out is unknown.
type wordPiece struct {
	pieces wordpiece.WordPiece
	vocabulary
	unknown  int32 // -1: the vocabulary has none
	name     string
	prefix   string
	longest  int // bytes of the longest token
	maxChars int
	cache    wordCache
}

func readWordPiece(o *object) model {
	vocab := decodeField[map[string]int](o, "vocab", "an object of tokens and ids")
	unknown := o.string("unk_token")
	prefix := o.string("continuing_subword_prefix")
	maxChars := decodeField[uint64](o, "max_input_chars_per_word", "0 or more")
	tokens, ok := invert(o, vocab)
	if !ok {
		return nil
	}
	return newWordPiece(vocab, tokens, unknown, prefix, int(min(maxChars, math.MaxInt)))
}

// invert returns the tokens by id, and whether the ids are in range and distinct.
func invert(o *object, vocab map[string]int) (map[int]string, bool) {
	tokens := make(map[int]string, len(vocab))
	ok := true
	for token, id := range vocab {
		other, taken := tokens[id]
		switch {
		case id < 0 || id > maxID:
			o.wrong("vocab", fmt.Sprintf("id %d of %q", id, token), "0 or more, below 2^31")
			ok = false
		case taken:
			o.wrong("vocab", fmt.Sprintf("id %d for both %q and %q", id, min(token, other), max(token, other)), "one token an id")
			ok = false
		}
		tokens[id] = token
	}
	return tokens, ok
}

func newWordPiece(vocab map[string]int, tokens map[int]string, unknown, prefix string, maxChars int) *wordPiece {
	m := &wordPiece{vocabulary: vocabulary{vocab, tokens}, unknown: -1, name: unknown, prefix: prefix, maxChars: maxChars}
	if id, ok := vocab[unknown]; ok {
		m.unknown = int32(id)
	}
	for token := range vocab {
		m.longest = max(m.longest, len(token))
	}
	known := sugarme.Vocab(vocab)
	m.pieces = wordpiece.NewWordPieceBuilder().Vocab(&known).UnkToken(unknown).
		ContinuingSubwordPrefix(prefix).MaxInputCharsPerWord(maxChars).Build()
	return m
}

func (m *wordPiece) tokenize(pieces []piece, word []byte) ([]piece, error) {
	return m.cache.tokenize(pieces, word, m.split)
}

// split asks sugarme's model, which must never take the process down.
func (m *wordPiece) split(pieces []piece, word []byte) (_ []piece, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("word %q: %v", word, reason)
		}
	}()
	switch chars := utf8.RuneCount(word); {
	case chars > m.maxChars:
		return m.unknownWord(pieces, word)
	case chars > longWord:
		return m.splitLong(pieces, word)
	}
	found, err := m.pieces.Tokenize(string(word))
	if err != nil {
		return m.unknownWord(pieces, word)
	}
	at := 0
	for _, f := range found {
		start := at
		for range f.Offsets[1] - f.Offsets[0] {
			_, size := utf8.DecodeRune(word[at:])
			at += size
		}
		pieces = append(pieces, piece{id: int32(f.Id), start: int32(start), end: int32(at)})
	}
	return pieces, nil
}

// longWord is how many characters sugarme's model gets at most: words of natural
// text are shorter. It tries every end of the word for each piece, so that its
// time grows with the square of the length.
const longWord = 32

// splitLong does what sugarme's model does, and looks no further ahead than the longest token.
func (m *wordPiece) splitLong(pieces []piece, word []byte) ([]piece, error) {
	before := len(pieces)
	var candidate []byte
	for start := 0; start < len(word); {
		candidate = candidate[:0]
		if start > 0 {
			candidate = append(candidate, m.prefix...)
		}
		head := len(candidate)
		candidate = append(candidate, word[start:min(len(word), start+m.longest)]...)
		id, ok := m.ids[string(candidate)]
		for !ok && len(candidate) > head {
			candidate = candidate[:len(candidate)-1]
			id, ok = m.ids[string(candidate)]
		}
		if len(candidate) == head {
			return m.unknownWord(pieces[:before], word)
		}
		end := start + len(candidate) - head
		pieces = append(pieces, piece{id: int32(id), start: int32(start), end: int32(end)})
		start = end
	}
	return pieces, nil
}

func (m *wordPiece) unknownWord(pieces []piece, word []byte) ([]piece, error) {
	if m.unknown < 0 {
		return pieces, fmt.Errorf("word %q: unknown, and the vocabulary has no %q", word, m.name)
	}
	return append(pieces, piece{id: m.unknown, end: int32(len(word))}), nil
}
