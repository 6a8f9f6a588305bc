package layer

import (
	"math/rand/v2"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Linear is a frozen torch Linear: x·Wᵀ + b. It may stand for several of one input.
type Linear struct {
	weight *kernel.Weight
	bias   []float32
	// modules are the paths of the linears that it stands for, of width outputs each.
	modules []string
	width   int
}

// NewLinear returns a linear over weight [out, in] and bias [out], which are not copied.
func (w *Weights) NewLinear(weight kernel.Values, bias []float32, in int) *Linear {
	return &Linear{weight: kernel.NewWeight(in, w.state.precision, weight), bias: bias}
}

// Linear reads name.weight [out, in] and name.bias [out].
func (w *Weights) Linear(name string, out, in int) *Linear { return w.Stacked(out, in, name) }

// Stacked reads several linears of one input as one, whose outputs stand beside
// each other in the order of the names: [R, len(names)·out].
func (w *Weights) Stacked(out, in int, names ...string) *Linear {
	weights, biases := make([]kernel.Values, len(names)), make([][]float32, len(names))
	modules, complete := make([]string, len(names)), true
	for i, name := range names {
		weights[i], biases[i] = w.Stored(name+".weight", out, in), w.Values(name+".bias", out)
		complete = complete && weights[i].Len() > 0 && biases[i] != nil
		modules[i] = w.path + name
		w.state.linears = append(w.state.linears, LinearModule{Name: modules[i], Out: out, In: in})
	}
	if !complete {
		return nil
	}
	return &Linear{kernel.NewWeight(in, w.state.precision, weights...), slices.Concat(biases...), modules, out}
}

// Forward returns [R, out] of x [R, in], with what the deltas add, which may be nil.
func (l *Linear) Forward(x mat.Tensor, deltas *Deltas) mat.Tensor {
	return kernel.Linear(x, l.weight, l.bias, deltas.of(l)...)
}

// Norm is a frozen LayerNorm.
type Norm struct {
	gamma, beta []float32
	eps         float32
}

// Norm reads name.weight and name.bias, [d] each.
func (w *Weights) Norm(name string, d int, eps float32) *Norm {
	return &Norm{w.Values(name+".weight", d), w.Values(name+".bias", d), eps}
}

// Forward normalises the rows of x + residual, [R, d]; the residual may be nil.
func (n *Norm) Forward(x, residual mat.Tensor) mat.Tensor {
	return kernel.AddLayerNorm(x, residual, n.gamma, n.beta, n.eps)
}

// TrainedLinear is a Linear that is trained: a head.
type TrainedLinear struct {
	nn.Module
	Weight *nn.Param // [out, in]
	Bias   *nn.Param // [1, out]
}

// TrainedLinear reads a copy of name.weight and name.bias.
func (w *Weights) TrainedLinear(name string, out, in int) *TrainedLinear {
	weight, bias := w.Values(name+".weight", out, in), w.Values(name+".bias", out)
	if weight == nil || bias == nil {
		return nil
	}
	return newTrainedLinear(out, in, weight, bias)
}

// NewTrainedLinear draws a new one as transformers does: weights from
// N(0, std²), std being initializer_range, and a bias of zeros.
func NewTrainedLinear(out, in int, std float64, random *rand.Rand) *TrainedLinear {
	weight := make([]float32, out*in)
	for i := range weight {
		weight[i] = float32(random.NormFloat64() * std)
	}
	return newTrainedLinear(out, in, weight, make([]float32, out))
}

func newTrainedLinear(out, in int, weight, bias []float32) *TrainedLinear {
	return &TrainedLinear{
		Weight: kernel.NewParam(out, in, slices.Clone(weight)),
		Bias:   kernel.NewParam(1, out, slices.Clone(bias)),
	}
}

// Forward returns [R, out] of x [R, in].
func (l *TrainedLinear) Forward(x mat.Tensor) mat.Tensor {
	return kernel.LinearParam(x, l.Weight, l.Bias)
}

// Clone returns a copy that is trained by itself.
func (l *TrainedLinear) Clone() *TrainedLinear {
	return newTrainedLinear(kernel.Rows(l.Weight), kernel.Cols(l.Weight), kernel.Data(l.Weight), kernel.Data(l.Bias))
}
