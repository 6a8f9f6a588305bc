package models

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// ErrCache: caches that do not belong to the batch or to the model.
var ErrCache = errors.New("cache does not fit")

// Decoder is a backbone whose rows see those before them alone, so that it can read a
// sequence piece by piece.
type Decoder interface {
	Backbone
	// Step reads the tokens of each sequence behind what its cache holds and adds their keys
	// and values to it: the hidden states are those that Forward gives these tokens after
	// the earlier ones. With Sequence.Reads only the rows that are read are returned.
	//
	// A new cache begins with the sequence's prompt: its past is copied, its rows are
	// computed before the tokens. Behind a cache that has begun the prompt is there already,
	// and only its deltas still count; but where Virtual puts its rows among the tokens, they do.
	//
	// There is one cache a sequence, no cache twice. If Step returns an error, the caches are
	// as they were. No gradient goes through a cache.
	Step(batch Batch, caches []*Cache) (Output, error)
}

// Cache holds the keys and values that a decoder has computed of one sequence, one row a
// token. It is used by one goroutine at a time, but may be cloned while others clone it.
type Cache struct {
	layers []cachedLayer
	width  int // G·k
	length int
	begun  bool // the prompt, if any, is in it
	// Cross are the keys and values of the encoder's rows, one a layer of the decoder: of an
	// encoder-decoder, whose Step computes them of Sequence.IDs when the cache begins. They
	// do not change, and clones share them.
	Cross []KV
}

// cachedLayer holds [length, G·k] values each, and room for more.
type cachedLayer struct{ keys, values []float32 }

// NewCache returns the cache of a sequence that has not begun.
func NewCache(shape Shape) *Cache {
	if shape.DecoderLayers > 0 {
		shape = shape.OfDecoder()
	}
	return &Cache{layers: make([]cachedLayer, shape.Layers), width: shape.KVHeads * shape.HeadDim}
}

// Begin returns a cache that holds a prompt and nothing else, which may be nil. Clones of it
// spare every request that begins with the prompt its computation. An encoder-decoder begins
// with the text that its encoder reads behind the prompt: its cache has nothing yet.
func Begin(d Decoder, prompt *Prompt) (*Cache, error) {
	c := NewCache(d.Shape())
	if d.Shape().DecoderLayers > 0 {
		return c, nil
	}
	if err := d.Shape().checkPrompt(prompt); err != nil {
		return nil, err
	}
	if prompt.inputLen() == 0 {
		c.Advance(c.start(prompt))
		return c, nil
	}
	_, err := d.Step(Batch{Sequences: []Sequence{{Prompt: prompt, Reads: []int{}}}}, []*Cache{c})
	return c, err
}

// Len returns the number of rows that the cache holds, those of a prompt included: the
// position of the next token.
func (c *Cache) Len() int { return c.length }

// Clone returns a copy that grows by itself.
func (c *Cache) Clone() *Cache {
	clone := &Cache{layers: make([]cachedLayer, len(c.layers))}
	clone.Set(c)
	return clone
}

// Set makes the cache a copy of another one of the same model, in the memory that it has:
// a beam goes on from what another one has read.
func (c *Cache) Set(from *Cache) {
	c.width, c.length, c.begun, c.Cross = from.width, from.length, from.begun, from.Cross
	n := c.length * c.width
	for i, l := range from.layers {
		c.layers[i] = cachedLayer{
			append(c.layers[i].keys[:0], l.keys[:min(n, len(l.keys))]...),
			append(c.layers[i].values[:0], l.values[:min(n, len(l.values))]...),
		}
	}
}

// Truncate forgets all rows but the first n.
func (c *Cache) Truncate(n int) {
	if n < 0 || n > c.length {
		panic(fmt.Sprintf("models: Truncate to %d rows of %d", n, c.length))
	}
	c.length = n
}

// First returns the keys and values of the first rows of a layer, [rows, G·k] each, which lie
// in the cache.
func (c *Cache) First(layer, rows int) KV {
	l, n := c.layers[layer], rows*c.width
	return KV{kernel.New(rows, c.width, l.keys[:n:n]), kernel.New(rows, c.width, l.values[:n:n])}
}

// Put writes the keys and values of a layer behind the first held rows. They are the last
// columns of rows of qkv, [R, (H+2·G)·k]. They count when [Cache.Advance] says so.
func (c *Cache) Put(layer, held int, qkv mat.Tensor, rows kernel.Span) {
	l, columns := &c.layers[layer], kernel.Cols(qkv)
	n := (held + rows.Len()) * c.width
	l.keys, l.values = grown(l.keys, n), grown(l.values, n)
	for r := range rows.Len() {
		row := kernel.Data(qkv)[(rows.Start+r)*columns:][:columns]
		at := (held + r) * c.width
		copy(l.keys[at:n], row[columns-2*c.width:columns-c.width])
		copy(l.values[at:n], row[columns-c.width:])
	}
}

// Advance makes so many rows count.
func (c *Cache) Advance(rows int) { c.length, c.begun = rows, true }

// grown returns values that are n at least.
func grown(values []float32, n int) []float32 {
	if n <= len(values) {
		return values
	}
	return slices.Grow(values, n-len(values))[:n]
}

// start copies the past of a prompt to a cache that has not begun and returns how many rows
// it has.
func (c *Cache) start(p *Prompt) int {
	if p.pastLen() == 0 {
		return 0
	}
	for i, kv := range p.Past {
		c.layers[i] = cachedLayer{slices.Clone(kernel.Data(kv.Keys)), slices.Clone(kernel.Data(kv.Values))}
	}
	return p.pastLen()
}

// Behind checks a batch that a model of this shape is to read behind caches, one a sequence.
// It returns what is left to be read: a prompt that a cache begins with is not; and how many
// rows each cache holds, those of the past of a prompt included, with which a cache that has
// not begun begins.
func (s Shape) Behind(batch Batch, caches []*Cache) (rest Batch, held []int, err error) {
	if err := s.checkCaches(batch, caches); err != nil {
		return Batch{}, nil, err
	}
	batch.Sequences = slices.Clone(batch.Sequences)
	left := map[*Prompt]*Prompt{} // sequences that share a prompt share what is left of it
	for i, c := range caches {
		if s := &batch.Sequences[i]; c.begun && s.Prompt != nil && s.Virtual == nil {
			if left[s.Prompt] == nil {
				left[s.Prompt] = &Prompt{Deltas: s.Prompt.Deltas}
			}
			s.Prompt = left[s.Prompt]
		}
	}
	if err := s.Check(batch); err != nil {
		return Batch{}, nil, err
	}
	for i, c := range caches {
		if c.begun {
			held = append(held, c.length)
		} else {
			held = append(held, c.start(batch.Sequences[i].Prompt))
		}
	}
	return batch, held, nil
}

// checkCaches reports caches that are missing, of another model, used twice or too full.
func (s Shape) checkCaches(batch Batch, caches []*Cache) error {
	if len(caches) != len(batch.Sequences) {
		return fmt.Errorf("%w: found %d for %d sequences", ErrCache, len(caches), len(batch.Sequences))
	}
	var found []error
	for i, c := range caches {
		if err := s.checkCache(batch.Sequences[i], c, caches[:i]); err != nil {
			found = append(found, fmt.Errorf("sequence %d: %w", i, err))
		}
	}
	return errors.Join(found...)
}

func (s Shape) checkCache(sequence Sequence, c *Cache, before []*Cache) error {
	width := s.KVHeads * s.HeadDim
	switch {
	case c == nil:
		return fmt.Errorf("%w: found none", ErrCache)
	case len(c.layers) != s.Layers || c.width != width:
		return fmt.Errorf("%w: it has %d layers of %d columns, the model %d of %d", ErrCache, len(c.layers), c.width, s.Layers, width)
	case slices.Contains(before, c):
		return fmt.Errorf("%w: another sequence has it too", ErrCache)
	}
	if rows := c.length + sequence.before() + len(sequence.IDs); c.begun && s.MaxPositions > 0 && rows > s.MaxPositions {
		return fmt.Errorf("%w: %d rows behind the %d of its cache, the model has %d positions",
			ErrTooLong, rows-c.length, c.length, s.MaxPositions)
	}
	return nil
}
