package tokenize

import (
	"cmp"
	"slices"
)

// trie finds the keys that a text begins with. The children of a node stand together, in
// the order of their bytes, and after those of the nodes before it.
type trie struct {
	root   [256]int32 // the children of node 0; 0: none
	bytes  []byte     // per node: the byte that leads to it
	first  []int32    // per node and one more: its first child
	values []int32    // per node; -1: no key ends here
}

// trieKey is a key with its value, 0 or more. Of equal keys the first counts, an empty one is left out.
type trieKey struct {
	key   string
	value int32
}

func newTrie(keys []trieKey) *trie {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k trieKey) bool { return k.key == "" })
	slices.SortStableFunc(keys, func(a, b trieKey) int { return cmp.Compare(a.key, b.key) })
	t := &trie{bytes: []byte{0}, values: []int32{-1}}
	// The keys that go through a node, and how many of their bytes lead to it.
	type through struct {
		keys  []trieKey
		depth int
	}
	nodes := []through{{keys, 0}}
	for n := 0; n < len(nodes); n++ {
		t.first = append(t.first, int32(len(nodes)))
		rest, depth := nodes[n].keys, nodes[n].depth
		nodes[n].keys = nil
		for len(rest) > 0 && len(rest[0].key) == depth {
			if t.values[n] < 0 {
				t.values[n] = rest[0].value
			}
			rest = rest[1:]
		}
		for len(rest) > 0 {
			b := rest[0].key[depth]
			end := 1
			for end < len(rest) && rest[end].key[depth] == b {
				end++
			}
			if n == 0 {
				t.root[b] = int32(len(nodes))
			}
			nodes = append(nodes, through{rest[:end], depth + 1})
			t.bytes, t.values = append(t.bytes, b), append(t.values, -1)
			rest = rest[end:]
		}
	}
	t.first = append(t.first, int32(len(nodes)))
	return t
}

func (t *trie) empty() bool { return len(t.values) == 1 }

// step returns the child of a node that a byte leads to; 0: there is none.
func (t *trie) step(node int32, b byte) int32 {
	if node == 0 {
		return t.root[b]
	}
	low, high := t.first[node], t.first[node+1]
	for high-low > 8 {
		if middle := (low + high) / 2; t.bytes[middle] > b {
			high = middle
		} else {
			low = middle
		}
	}
	for ; low < high; low++ {
		if t.bytes[low] == b {
			return low
		}
	}
	return 0
}
