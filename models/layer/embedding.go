package layer

import (
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Embedding is a table of rows: of words, positions or token types.
type Embedding struct {
	Table   kernel.Values // [n, Width]
	Width   int
	Scale   float32   // of the rows; 0 means 1
	Padding int       // the row that is not trained, torch's padding_idx; -1: none
	trained *nn.Param // whose values Table is; nil: it is frozen
}

// Embedding reads name.weight [n, width].
func (w *Weights) Embedding(name string, n, width int) *Embedding {
	e := &Embedding{Width: width, Padding: -1}
	if !w.state.trains {
		e.Table = w.Stored(name+".weight", n, width)
		return e
	}
	if e.trained = w.param(name+".weight", n, width); e.trained != nil {
		e.Table = kernel.Values{Float32: kernel.Data(e.trained)}
	}
	return e
}

// Rows names rows of the table, for the operators that look them up.
func (e *Embedding) Rows(index []int) kernel.Lookup {
	return kernel.Lookup{
		Table: e.Table, Width: e.Width, Index: index, Trained: e.trained, Scale: e.Scale, Skipped: e.Padding + 1,
	}
}

// FrozenRows is Rows without a gradient.
func (e *Embedding) FrozenRows(index []int) kernel.Lookup {
	return kernel.Lookup{Table: e.Table, Width: e.Width, Index: index, Scale: e.Scale}
}
