package layer

import "github.com/gopeft/gopeft/internal/kernel"

// Conv1D reads a linear whose name.weight is stored as [in, out], as transformers' Conv1D
// holds it, and name.bias [out].
func (w *Weights) Conv1D(name string, out, in int) *Linear {
	weight, bias := w.Stored(name+".weight", in, out), w.Values(name+".bias", out)
	module := Module{Name: w.path + name, Out: out}
	w.state.linears = append(w.state.linears, LinearModule{Module: module, In: in, Transposed: true})
	w.state.biases = append(w.state.biases, module)
	if weight.Len() == 0 || bias == nil {
		return nil
	}
	l := w.NewLinear(Transposed(weight, out), bias, in)
	l.parts = []linearPart{{module: module.Name}}
	return l
}

// Transposed returns a copy of a matrix that has so many columns.
func Transposed(v kernel.Values, columns int) kernel.Values {
	if v.Blocks != nil {
		v.Float32 = make([]float32, v.Blocks.Len())
		v.Blocks.Widen(v.Float32, 0)
	}
	t := kernel.Values{Float32: turned(v.Float32, columns), BFloat16: turned(v.BFloat16, columns), Float16: turned(v.Float16, columns)}
	if v.Release != nil {
		v.Release()
	}
	return t
}

func turned[T any](values []T, columns int) []T {
	if values == nil {
		return nil
	}
	rows := len(values) / columns
	t := make([]T, len(values))
	for row := range rows {
		for column, v := range values[row*columns:][:columns] {
			t[column*rows+row] = v
		}
	}
	return t
}
