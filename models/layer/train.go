package layer

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
)

// Param is a trained parameter under its name.
type Param struct {
	Name  string
	Param *nn.Param
}

// Train makes parameters of all that is read from now on: the blocks of this package hold
// copies that training changes. What an architecture reads by [Weights.Stored] or
// [Weights.Values] instead of in a block stays frozen, and is an error.
func (w *Weights) Train() { w.state.trains = true }

// Params returns the parameters that were read so far, in order, by their names below the
// backbone.
func (w *Weights) Params() []Param { return slices.Clone(w.state.params) }

// param reads a parameter: a vector as one row. It is nil where the tensor is missing or misshaped,
// and where it is a parameter already: several copies would not stay the same.
func (w *Weights) param(name string, shape ...int) *nn.Param {
	if slices.ContainsFunc(w.state.params, func(p Param) bool { return p.Name == w.path+name }) {
		w.untrained(name)
		return nil
	}
	values := w.values(name, shape...)
	if values == nil {
		return nil
	}
	rows := 1
	if len(shape) == 2 {
		rows = shape[0]
	}
	p := kernel.NewParam(rows, len(values)/rows, slices.Clone(values))
	w.state.params = append(w.state.params, Param{w.path + name, p})
	return p
}

// untrained notes a tensor that stays frozen although everything is to be trained.
func (w *Weights) untrained(name string) {
	if w.state.trains {
		w.note(name, fmt.Errorf("%w: gopeft cannot train this part of the architecture yet", hfio.ErrUnsupported))
	}
}
