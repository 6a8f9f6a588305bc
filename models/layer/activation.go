package layer

import (
	"maps"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
)

// Activation is an element-wise function.
type Activation func(mat.Tensor) mat.Tensor

// activations lists the functions of transformers' ACT2FN that are known, plain and as the
// gate of what stands beside it: [R, n] and [R, 2·n] to [R, n].
var activations = map[string]struct{ plain, gated Activation }{
	"gelu":              {kernel.GELU, kernel.GatedGELU}, // by erf
	"gelu_fast":         {kernel.GELUTanh, kernel.GatedGELUTanh},
	"gelu_new":          {kernel.GELUTanh, kernel.GatedGELUTanh},
	"gelu_pytorch_tanh": {kernel.GELUTanh, kernel.GatedGELUTanh},
	"relu":              {kernel.ReLU, nil},
	"silu":              {kernel.SiLU, kernel.GatedSiLU},
	"swish":             {kernel.SiLU, kernel.GatedSiLU},
	"tanh":              {kernel.Tanh, nil},
}

// ActivationOf returns the function of a name of transformers' ACT2FN, and whether
// it is known.
func ActivationOf(name string) (Activation, bool) {
	f := activations[name].plain
	return f, f != nil
}

// GatedActivationOf returns f(g)·u of rows that hold g, then u, for the function f of a name
// of transformers' ACT2FN, and whether it is known.
func GatedActivationOf(name string) (Activation, bool) {
	f := activations[name].gated
	return f, f != nil
}

// ReadGatedActivation returns the gate that a field of a config names, or the one named def.
// It rejects a name that is not known.
func ReadGatedActivation(r *hfio.ConfigReader, key, def string) Activation {
	f, known := GatedActivationOf(r.StringOr(key, def))
	if !known {
		r.Reject(key, "gelu, gelu_fast, gelu_new, gelu_pytorch_tanh, silu or swish")
	}
	return f
}

// ReadActivation returns the function that a field of a config names, or the one named
// def. It rejects a name that is not known.
func ReadActivation(r *hfio.ConfigReader, key, def string) Activation {
	f, known := ActivationOf(r.StringOr(key, def))
	if !known {
		r.Reject(key, "one of: "+strings.Join(slices.Sorted(maps.Keys(activations)), ", "))
	}
	return f
}
