package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe is byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909): a word begins as
// its characters, and neighbours become one token, the pair that was learnt first coming first.
type bpe struct {
	vocabulary
	merges       map[pair]merge
	unknown      int32 // -1: characters that have no token are left out
	fuseUnknown  bool  // neighbouring unknown characters are one token
	byteFallback bool  // they are written as bytes, <0x41>, if there are tokens for these
	ignoreMerges bool  // a word that is a token is not taken apart
	spaceInside  bool  // a merge joins a space to what stands before it
	cache        wordCache
}

// pieceSpace is how sentencepiece writes a space.
const pieceSpace = "▁"

// pair is two neighbouring tokens.
type pair struct{ first, second int32 }

// merge is what a pair becomes.
type merge struct{ rank, id int32 }

func readBPE(o *object) model {
	for _, field := range []string{"continuing_subword_prefix", "end_of_word_suffix"} {
		if mark := o.optionalString(field, ""); mark != "" {
			o.wrong(field, quoted(mark), `null or ""`)
		}
	}
	if dropout := o.raw("dropout"); !isNull(dropout) && string(dropout) != "0.0" {
		o.wrong("dropout", shown(dropout), "null: it is for training")
	}
	vocab := decodeField[map[string]int](o, "vocab", "an object of tokens and ids")
	tokens, ok := invert(o, vocab)
	m := &bpe{
		vocabulary: vocabulary{vocab, tokens}, unknown: -1,
		fuseUnknown: o.optionalBool("fuse_unk", false), byteFallback: o.optionalBool("byte_fallback", false),
		ignoreMerges: o.optionalBool("ignore_merges", false),
	}
	if name := o.optionalString("unk_token", ""); name != "" {
		id, known := vocab[name]
		if !known {
			o.wrong("unk_token", quoted(name), "a token of vocab")
		}
		m.unknown = int32(id)
	}
	if !m.readMerges(o) || !ok {
		return nil
	}
	return m
}

// readMerges reads "a b" or ["a", "b"], the first learnt first.
func (m *bpe) readMerges(o *object) bool {
	items := decodeField[[]json.RawMessage](o, "merges", "a list of pairs")
	m.merges = make(map[pair]merge, len(items))
	for rank, item := range items {
		parts := []string{}
		var text string
		if json.Unmarshal(item, &text) == nil {
			parts = strings.Split(text, " ")
		} else if json.Unmarshal(item, &parts) != nil {
			parts = nil
		}
		field := fmt.Sprintf("merges[%d]", rank)
		if len(parts) != 2 {
			o.wrong(field, shown(item), "two tokens")
			return false
		}
		if !m.addMerge(rank, [2]string(parts)) {
			o.wrong(field, shown(item), "two tokens of vocab that make a third one")
			return false
		}
	}
	return true
}

// addMerge tells whether the two parts are tokens and make one. Of a pair that comes twice
// the last rank counts, as in the reference.
func (m *bpe) addMerge(rank int, parts [2]string) bool {
	first, knownFirst := m.ids[parts[0]]
	second, knownSecond := m.ids[parts[1]]
	both, known := m.ids[parts[0]+parts[1]]
	m.spaceInside = m.spaceInside || strings.HasPrefix(parts[1], pieceSpace) && !strings.HasSuffix(parts[0], pieceSpace)
	m.merges[pair{int32(first), int32(second)}] = merge{int32(rank), int32(both)}
	return knownFirst && knownSecond && known
}

// tokenize takes the words of a text that the pre-tokeniser has left whole one by one,
// where no merge goes beyond a word: the result is the same.
func (m *bpe) tokenize(pieces []piece, word []byte) ([]piece, error) {
	if m.ignoreMerges {
		if id, known := m.ids[string(word)]; known {
			return append(pieces, piece{id: int32(id), end: int32(len(word))}), nil
		}
	}
	if _, known := m.ids[pieceSpace]; m.spaceInside || !known {
		return m.cache.tokenize(pieces, word, m.split)
	}
	at := int32(0)
	for len(word) > 0 {
		end, first := nextSpace(word), len(pieces)
		var err error
		if pieces, err = m.cache.tokenize(pieces, word[:end], m.split); err != nil {
			return pieces, err
		}
		for i := first; i < len(pieces); i++ {
			pieces[i].start, pieces[i].end = pieces[i].start+at, pieces[i].end+at
		}
		if len(pieces) > first {
			at = pieces[len(pieces)-1].end
		}
		word = word[end:]
	}
	return pieces, nil
}

// nextSpace is where the first space stands that has something else before it, or the end.
func nextSpace(word []byte) int {
	at := 0
	for bytes.HasPrefix(word[at:], []byte(pieceSpace)) {
		at += len(pieceSpace)
	}
	if next := bytes.Index(word[at:], []byte(pieceSpace)); next > 0 {
		return at + next
	}
	return len(word)
}

func (m *bpe) split(pieces []piece, word []byte) ([]piece, error) {
	return m.join(m.characters(pieces, word), len(pieces)), nil
}

// characters appends the tokens of the characters of a word. As in the reference they
// follow each other without gaps, though characters that have no token are left out, and
// what is unknown waits until a token of the vocabulary comes.
func (m *bpe) characters(pieces []piece, word []byte) []piece {
	at, unknown := int32(0), int32(0) // bytes
	add := func(id, size int32) {
		pieces = append(pieces, piece{id: id, start: at, end: at + size})
		at += size
	}
	flush := func() {
		if unknown > 0 {
			add(m.unknown, unknown)
		}
		unknown = 0
	}
	for len(word) > 0 {
		_, size := utf8.DecodeRune(word)
		character := word[:size]
		word = word[size:]
		if id, known := m.ids[string(character)]; known {
			flush()
			add(int32(id), int32(size))
			continue
		}
		if m.byteFallback {
			if ids, known := m.bytesOf(character); known {
				for _, id := range ids {
					add(id, 1)
				}
				continue
			}
		}
		if m.unknown >= 0 {
			if !m.fuseUnknown {
				flush()
			}
			unknown += int32(size)
		}
	}
	flush()
	return pieces
}

// join merges the pieces from place first on.
func (m *bpe) join(pieces []piece, first int) []piece {
	word := pieces[first:]
	links := make([]link, len(word))
	queue := make(joins, 0, len(word))
	for i := range word {
		links[i] = link{int32(i - 1), int32(i + 1)}
		if i+1 < len(word) {
			queue.push(m, word, i, i+1)
		}
	}
	for len(queue) > 0 {
		j := queue.pop()
		next := links[j.left].next
		if word[j.left].end < 0 || int(next) >= len(word) || m.merges[pair{word[j.left].id, word[next].id}] != j.merge {
			continue // one of the two has changed since
		}
		word[j.left].id, word[j.left].end = j.id, word[next].end
		word[next].end = -1 // gone
		after := links[next].next
		links[j.left].next = after
		if int(after) < len(word) {
			links[after].previous = j.left
			queue.push(m, word, int(j.left), int(after))
		}
		if before := links[j.left].previous; before >= 0 {
			queue.push(m, word, int(before), int(j.left))
		}
	}
	kept := pieces[:first]
	for _, p := range word {
		if p.end >= 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

// link names the neighbours that are still there.
type link struct{ previous, next int32 }

// candidate is a pair that can be merged.
type candidate struct {
	merge
	left int32
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.left < d.left
}

// joins is a heap: the pair that was learnt first, and of those the leftmost, is its root.
type joins []candidate

// push adds the pair of two neighbours, if it can be merged.
func (q *joins) push(m *bpe, word []piece, left, right int) {
	found, ok := m.merges[pair{word[left].id, word[right].id}]
	if !ok {
		return
	}
	h := append(*q, candidate{found, int32(left)})
	for at := len(h) - 1; at > 0; {
		parent := (at - 1) / 2
		if !h[at].before(h[parent]) {
			break
		}
		h[at], h[parent] = h[parent], h[at]
		at = parent
	}
	*q = h
}

func (q *joins) pop() candidate {
	h := *q
	root := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	for at := 0; ; {
		child := 2*at + 1
		if child >= last {
			break
		}
		if child+1 < last && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[at]) {
			break
		}
		h[at], h[child] = h[child], h[at]
		at = child
	}
	*q = h
	return root
}
