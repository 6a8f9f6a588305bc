package tokenize

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// wordCache remembers the pieces of recent words. Its size is bounded, and
// reading takes no lock: a word has one slot, and the last one to come keeps it.
type wordCache struct {
	slots [cacheSlots]atomic.Pointer[cachedWord]
}

const (
	cacheSlots    = 1 << 14
	maxCachedWord = 64 // bytes
)

type cachedWord struct {
	word   string
	pieces []piece
}

var cacheSeed = maphash.MakeSeed()

// tokenize appends the pieces of a word, which split finds where the cache has none.
func (c *wordCache) tokenize(pieces []piece, word []byte, split func([]piece, []byte) ([]piece, error)) ([]piece, error) {
	if cached, ok := c.get(word); ok {
		return append(pieces, cached...), nil
	}
	before := len(pieces)
	pieces, err := split(pieces, word)
	if err != nil {
		return pieces, err
	}
	c.put(word, pieces[before:])
	return pieces, nil
}

func (c *wordCache) slot(word []byte) *atomic.Pointer[cachedWord] {
	return &c.slots[maphash.Bytes(cacheSeed, word)%cacheSlots]
}

func (c *wordCache) get(word []byte) ([]piece, bool) {
	if len(word) > maxCachedWord {
		return nil, false
	}
	if w := c.slot(word).Load(); w != nil && w.word == string(word) {
		return w.pieces, true
	}
	return nil, false
}

func (c *wordCache) put(word []byte, pieces []piece) {
	if len(word) <= maxCachedWord {
		c.slot(word).Store(&cachedWord{string(word), slices.Clone(pieces)})
	}
}
