// Package layer holds the blocks that architectures share, and [Weights], through
// which they read a checkpoint. It knows no architecture.
package layer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
)

// Weights reads a checkpoint by paths, so that a model's code and its tensors'
// names line up: w.At("encoder", "layer", 3).Linear("output.dense", d, h). A tensor
// that is missing or has another shape is noted and reading goes on; [Weights.Err]
// reports all of them. A model read from weights with an error must not be used: its
// parts may be nil, since nothing is allocated for sizes that the file does not hold.
type Weights struct {
	path    string
	outside bool
	state   *weightsState
}

type weightsState struct {
	checkpoint *hfio.Checkpoint
	precision  kernel.Precision
	prefixes   []string // "" first
	renamed    [][2]string
	read       map[string]hfio.Tensor // by the name of today
	outside    map[string]bool        // of these names
	linears    []LinearModule
	biases     []Module
	trains     bool
	params     []Param
	problems   []error
}

// NewWeights returns the root of a checkpoint, whose linears multiply in a precision. A tensor that is not there under its
// own name is looked for under prefix+name (a checkpoint of a model with a head
// holds its backbone so), then under the names that renamed gives: pairs of an
// ending of today and one of older checkpoints.
func NewWeights(checkpoint *hfio.Checkpoint, precision kernel.Precision, prefix string, renamed ...[2]string) *Weights {
	return &Weights{state: &weightsState{checkpoint: checkpoint, precision: precision, prefixes: []string{"", prefix}, renamed: renamed, read: map[string]hfio.Tensor{}, outside: map[string]bool{}}}
}

// AlsoUnder adds prefixes under which tensors are looked for.
func (w *Weights) AlsoUnder(prefixes ...string) {
	w.state.prefixes = append(w.state.prefixes, prefixes...)
}

// At returns the weights below a path, whose elements are joined with ".".
func (w *Weights) At(path ...any) *Weights {
	joined := w.path
	for _, element := range path {
		joined += fmt.Sprint(element) + "."
	}
	return &Weights{path: joined, outside: w.outside, state: w.state}
}

// Outside returns the same weights for what stands beside the backbone, in its head: in a
// checkpoint of a model with a head its names have no prefix.
func (w *Weights) Outside() *Weights { return &Weights{path: w.path, outside: true, state: w.state} }

// IsOutside tells whether a tensor was read as one outside of the backbone.
func (w *Weights) IsOutside(name string) bool { return w.state.outside[name] }

// Has tells whether the checkpoint holds a tensor.
func (w *Weights) Has(name string) bool {
	_, ok := w.find(w.path + name)
	return ok
}

// HasShape tells whether the checkpoint holds a tensor of this shape.
func (w *Weights) HasShape(name string, shape ...int) bool {
	t, ok := w.find(w.path + name)
	return ok && slices.Equal(t.Shape, shape)
}

// SameAs notes a tensor that differs from another, or is not there unless it may be absent:
// a model that has one of both cannot compute with it.
func (w *Weights) SameAs(name, other string, mayBeAbsent bool) {
	own, ok := w.find(w.path + name)
	delete(w.state.read, w.path+name)
	if !ok {
		if !mayBeAbsent {
			w.note(name, fmt.Errorf("%w, want a copy of %s", hfio.ErrNotFound, other))
		}
		return
	}
	want, ok := w.find(w.path + other)
	if ok && (own.DType != want.DType || !bytes.Equal(own.Data, want.Data)) {
		w.note(name, &hfio.Mismatch{Found: "values of its own", Want: "those of " + other, Kind: hfio.ErrUnsupported})
	}
}

func (w *Weights) find(name string) (hfio.Tensor, bool) {
	s := w.state
	names := s.under(name)
	for _, pair := range s.renamed {
		if stem, ok := strings.CutSuffix(name, pair[0]); ok {
			names = append(names, s.under(stem+pair[1])...)
		}
	}
	for _, candidate := range names {
		if t, err := s.checkpoint.Tensor(candidate); err == nil {
			s.read[name] = t
			if w.outside {
				s.outside[name] = true
			}
			return t, true
		}
	}
	return hfio.Tensor{}, false
}

// under returns the names that a tensor can have.
func (s *weightsState) under(name string) []string {
	var names []string
	for _, prefix := range s.prefixes {
		names = append(names, prefix+name)
	}
	return names
}

// Stored returns a tensor of this shape as the file holds it. It must not be written: it
// may lie in the file. A missing or misshaped one is noted and gives no values.
func (w *Weights) Stored(name string, shape ...int) kernel.Values {
	w.untrained(name)
	return w.stored(name, shape...)
}

func (w *Weights) stored(name string, shape ...int) kernel.Values {
	t, ok := w.tensor(name, shape)
	if !ok {
		return kernel.Values{}
	}
	words, inPlace := t.Words()
	blocks, inBlocks := t.Blocks()
	values := kernel.Values{Release: func() { w.state.checkpoint.Release(t) }}
	switch {
	case inPlace && t.DType == hfio.BF16:
		values.BFloat16 = words
	case inPlace && t.DType == hfio.F16:
		values.Float16 = words
	case inBlocks:
		values.Blocks = blocks
	default:
		values.Float32 = w.float32s(name, t)
	}
	return values
}

// Values is Stored as float32.
func (w *Weights) Values(name string, shape ...int) []float32 {
	w.untrained(name)
	return w.values(name, shape...)
}

func (w *Weights) values(name string, shape ...int) []float32 {
	t, ok := w.tensor(name, shape)
	if !ok {
		return nil
	}
	return w.float32s(name, t)
}

// tensor returns a tensor of this shape, or notes what is wrong.
func (w *Weights) tensor(name string, shape []int) (hfio.Tensor, bool) {
	t, ok := w.find(w.path + name)
	if !ok {
		w.note(name, fmt.Errorf("%w, want %v", hfio.ErrNotFound, shape))
		return t, false
	}
	if !slices.Equal(t.Shape, shape) {
		w.note(name, &hfio.Mismatch{Found: fmt.Sprint(t.Shape), Want: fmt.Sprint(shape), Kind: hfio.ErrShape})
		return t, false
	}
	return t, true
}

func (w *Weights) float32s(name string, t hfio.Tensor) []float32 {
	values, err := t.Float32s()
	if err != nil {
		w.note(name, err)
		return nil
	}
	return values
}

func (w *Weights) note(name string, err error) {
	w.state.problems = append(w.state.problems, &hfio.TensorError{File: w.state.checkpoint.Dir(), Name: w.path + name, Err: err})
}

// Module is a frozen layer of a model.
type Module struct {
	Name    string // its path, as transformers names it below the backbone: encoder.layer.0.attention.self.query
	Out     int    // the width of its result
	Outside bool   // of the backbone, in its head: the name is the whole path
}

// LinearModule is a linear layer: where adapters can add something.
type LinearModule struct {
	Module
	In int
	// Transposed: the checkpoint holds its weight as [in, out].
	Transposed bool
}

// Linears returns the linear layers that were read so far, in order.
func (w *Weights) Linears() []LinearModule { return slices.Clone(w.state.linears) }

// Biases returns the layers with a bias that were read so far, in order: linears and norms, whose
// bias an adapter can replace.
func (w *Weights) Biases() []Module { return slices.Clone(w.state.biases) }

// Count returns the number of tensors in the checkpoint. No model that it holds has
// more layers.
func (w *Weights) Count() int { return len(w.state.checkpoint.Names()) }

// Err returns all problems met so far, joined.
func (w *Weights) Err() error { return errors.Join(w.state.problems...) }

// Read returns the tensors that were read, by the names under which they were asked for.
func (w *Weights) Read() map[string]hfio.Tensor { return maps.Clone(w.state.read) }
