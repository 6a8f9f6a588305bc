package layer

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Activation is an element-wise function.
type Activation func(mat.Tensor) mat.Tensor

// activations lists the values of hidden_act that are known, in transformers' names.
var activations = map[string]Activation{
	"gelu": kernel.GELU, // by erf
	"relu": kernel.ReLU,
	"tanh": kernel.Tanh,
}

// ActivationOf returns the function of a name of transformers' ACT2FN, and whether
// it is known.
func ActivationOf(name string) (Activation, bool) {
	f, ok := activations[name]
	return f, ok
}
