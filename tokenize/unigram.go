package tokenize

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// unigram cuts a word into the pieces whose scores, which are log probabilities, have the
// largest sum (Kudo 2018, arXiv 1804.10959).
type unigram struct {
	vocabulary
	pieces       *trie
	scores       []float64 // by id
	unknown      int32     // -1: a character that is no piece is an error
	unknownScore float64   // of such a character
	byteFallback bool      // it is written as bytes, <0x41>, if there are pieces for these
	cache        wordCache
}

// unknownPenalty is how much less an unknown character scores than the least likely piece.
const unknownPenalty = 10

// scoredToken is ["▁the", -3.2].
type scoredToken struct {
	token string
	score float64
}

func (s *scoredToken) UnmarshalJSON(data []byte) error {
	var score json.RawMessage
	pair := []any{&s.token, &score}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("%d values", len(pair))
	}
	ok := len(score) > 0 && (score[0] == '-' || '0' <= score[0] && score[0] <= '9')
	if ok {
		s.score, ok = parseScore(string(score))
	}
	if !ok {
		return fmt.Errorf("score %s", shown(score))
	}
	return nil
}

func readUnigram(o *object) model {
	vocab := decodeField[[]scoredToken](o, "vocab", "a list of tokens and scores")
	fallback := o.optionalBool("byte_fallback", false)
	unknown := -1
	if !isNull(o.raw("unk_id")) {
		if unknown = o.int("unk_id"); unknown >= len(vocab) {
			o.wrong("unk_id", fmt.Sprint(unknown), fmt.Sprintf("below %d, the size of vocab", len(vocab)))
		}
	}
	return newUnigram(vocab, unknown, fallback)
}

func newUnigram(vocab []scoredToken, unknown int, byteFallback bool) *unigram {
	m := &unigram{
		vocabulary: vocabulary{make(map[string]int, len(vocab)), make(map[int]string, len(vocab))},
		scores:     make([]float64, len(vocab)),
		unknown:    int32(unknown), byteFallback: byteFallback,
	}
	for id, t := range vocab {
		m.ids[t.token], m.tokens[id], m.scores[id] = id, t.token, t.score
	}
	keys := make([]trieKey, 0, len(m.ids))
	for token, id := range m.ids {
		keys = append(keys, trieKey{token, int32(id)})
	}
	m.pieces = newTrie(keys)
	if len(m.scores) > 0 {
		m.unknownScore = slices.Min(m.scores) - unknownPenalty
	}
	return m
}

// size counts tokens that come twice twice.
func (m *unigram) size() int { return len(m.scores) }

func (m *unigram) tokenize(pieces []piece, word []byte) ([]piece, error) {
	return m.cache.tokenize(pieces, word, m.split)
}

// path is the best way to cut a word up to a place of it.
type path struct {
	score float64
	start int32 // of its last piece; -1: there is no way
	id    int32 // of its last piece
	next  int32 // where the piece that begins here ends, on the best way to the end
}

// split is the Viterbi algorithm over the places of the word.
// Source: tokenizers 0.23, models/unigram/model.rs, encode_optimized.
func (m *unigram) split(pieces []piece, word []byte) ([]piece, error) {
	var few [maxCachedWord + 1]path
	paths := few[:0]
	if len(word) > maxCachedWord {
		paths = make([]path, 0, len(word)+1)
	}
	paths = append(paths, path{})
	for range word {
		paths = append(paths, path{start: -1})
	}
	for start := 0; start < len(word); {
		_, size := utf8.DecodeRune(word[start:])
		if !m.extend(paths, word, start, size) {
			improved := paths[start+size].improve(paths[start].score+m.unknownScore, start, m.unknown)
			if improved && m.unknown < 0 {
				return pieces, fmt.Errorf("word %q: a character of it is unknown, and the file names no unk_id", word)
			}
		}
		start += size
	}
	return m.along(pieces, paths, word), nil
}

// extend tries all pieces that begin at start, and tells whether one is the character of
// so many bytes there.
func (m *unigram) extend(paths []path, word []byte, start, character int) (single bool) {
	node := int32(0)
	for end := start; end < len(word); {
		if node = m.pieces.step(node, word[end]); node == 0 {
			return single
		}
		end++
		if id := m.pieces.values[node]; id >= 0 {
			paths[end].improve(m.scores[id]+paths[start].score, start, id)
			single = single || end-start == character
		}
	}
	return single
}

func (p *path) improve(score float64, start int, id int32) bool {
	if p.start >= 0 && score <= p.score {
		return false
	}
	*p = path{score: score, start: int32(start), id: id}
	return true
}

// along appends the pieces of the best path. Neighbouring unknown ones are one.
func (m *unigram) along(pieces []piece, paths []path, word []byte) []piece {
	for end := int32(len(word)); end > 0; end = paths[end].start {
		paths[paths[end].start].next = end
	}
	for at := int32(0); at < int32(len(word)); {
		p := piece{start: at, end: paths[at].next}
		p.id, at = paths[p.end].id, p.end
		if p.id != m.unknown {
			pieces = append(pieces, p)
			continue
		}
		for at < int32(len(word)) && paths[paths[at].next].id == m.unknown {
			at = paths[at].next
		}
		p.end = at
		pieces = m.appendUnknown(pieces, p, word[p.start:p.end])
	}
	return pieces
}

// appendUnknown appends the token of a run of unknown characters, if it has one, or those
// of its bytes.
func (m *unigram) appendUnknown(pieces []piece, p piece, run []byte) []piece {
	if id, ok := m.ids[string(run)]; ok {
		p.id = int32(id)
		return append(pieces, p)
	}
	if ids, ok := m.bytesOf(run); ok && m.byteFallback {
		for _, p.id = range ids {
			pieces = append(pieces, p)
		}
		return pieces
	}
	p.asIs = true
	return append(pieces, p)
}
