package tokenize

import (
	"container/heap"
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
	cache        wordCache
}

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
	if m.merges = readMerges(o, vocab); !ok || m.merges == nil {
		return nil
	}
	return m
}

// readMerges reads "a b" or ["a", "b"], the first learnt first.
func readMerges(o *object, vocab map[string]int) map[pair]merge {
	items := decodeField[[]json.RawMessage](o, "merges", "a list of pairs")
	merges := make(map[pair]merge, len(items))
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
			return nil
		}
		a, knownA := vocab[parts[0]]
		b, knownB := vocab[parts[1]]
		both, known := vocab[parts[0]+parts[1]]
		if !knownA || !knownB || !known {
			o.wrong(field, shown(item), "two tokens of vocab that make a third one")
			return nil
		}
		// Of a pair that comes twice the last rank counts, as in the reference.
		merges[pair{int32(a), int32(b)}] = merge{int32(rank), int32(both)}
	}
	return merges
}

func (m *bpe) tokenize(pieces []piece, word []byte) ([]piece, error) {
	return m.cache.tokenize(pieces, word, m.split)
}

func (m *bpe) split(pieces []piece, word []byte) ([]piece, error) {
	if id, known := m.ids[string(word)]; known && m.ignoreMerges {
		return append(pieces, piece{int32(id), 0, int32(len(word))}), nil
	}
	return m.join(m.characters(pieces, word), len(pieces)), nil
}

// characters appends the tokens of the characters of a word.
func (m *bpe) characters(pieces []piece, word []byte) []piece {
	fusing := false
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRune(word[at:])
		start, end := int32(at), int32(at+size)
		at += size
		if id, known := m.ids[string(word[start:end])]; known {
			pieces, fusing = append(pieces, piece{int32(id), start, end}), false
			continue
		}
		if bytes, known := m.bytesOf(word[start:end]); known {
			for i, id := range bytes {
				pieces = append(pieces, piece{id, start + int32(i), start + int32(i) + 1})
			}
			fusing = false
			continue
		}
		switch {
		case m.unknown < 0:
		case fusing && m.fuseUnknown:
			pieces[len(pieces)-1].end = end
		default:
			pieces, fusing = append(pieces, piece{m.unknown, start, end}), true
		}
	}
	return pieces
}

// bytesOf returns the tokens of a character's bytes, if there are all of them.
func (m *bpe) bytesOf(character []byte) ([]int32, bool) {
	if !m.byteFallback {
		return nil, false
	}
	ids := make([]int32, len(character))
	for i, b := range character {
		id, known := m.ids[fmt.Sprintf("<0x%02X>", b)]
		if !known {
			return nil, false
		}
		ids[i] = int32(id)
	}
	return ids, true
}

// join merges the pieces from place first on.
func (m *bpe) join(pieces []piece, first int) []piece {
	word := pieces[first:]
	links := make([]link, len(word))
	var queue joins
	for i := range word {
		links[i] = link{int32(i - 1), int32(i + 1)}
		if i+1 < len(word) {
			queue.add(m, word, i, i+1)
		}
	}
	heap.Init(&queue)
	for len(queue) > 0 {
		j := heap.Pop(&queue).(candidate)
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

// joins is a heap: the pair that was learnt first, and of those the leftmost.
type joins []candidate

func (q joins) Len() int      { return len(q) }
func (q joins) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q joins) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].left < q[j].left
}
func (q *joins) Push(x any) { *q = append(*q, x.(candidate)) }
func (q *joins) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// add appends the pair of two neighbours, if it can be merged.
func (q *joins) add(m *bpe, word []piece, left, right int) bool {
	found, ok := m.merges[pair{word[left].id, word[right].id}]
	if ok {
		*q = append(*q, candidate{found, int32(left)})
	}
	return ok
}

// push is add in a heap.
func (q *joins) push(m *bpe, word []piece, left, right int) {
	if q.add(m, word, left, right) {
		heap.Fix(q, len(*q)-1)
	}
}
