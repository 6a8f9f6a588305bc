package layer

import (
	"math/rand/v2"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/internal/kernel"
)

// Linear is a torch Linear: x·Wᵀ + b. It may stand for several of one input.
type Linear struct {
	weight  *kernel.Weight
	bias    []float32 // nil: none
	parts   []linearPart
	trained []kernel.LinearPart // in place of weight and bias; nil: they are frozen
}

// linearPart is a linear that a Linear stands for: its path, and the first of its outputs.
type linearPart struct {
	module string
	column int
}

// NewLinear returns a linear over weight [out, in] and bias [out], which are not copied; the
// bias may be nil.
func (w *Weights) NewLinear(weight kernel.Values, bias []float32, in int) *Linear {
	return &Linear{weight: kernel.NewWeight(in, w.state.precision, weight), bias: bias}
}

// Linear reads name.weight [out, in] and name.bias [out].
func (w *Weights) Linear(name string, out, in int) *Linear {
	return w.Beside(in, true, Part{name, out})
}

// Stacked reads several linears of one input as one, whose outputs stand beside
// each other in the order of the names: [R, len(names)·out].
func (w *Weights) Stacked(out, in int, names ...string) *Linear {
	parts := make([]Part, len(names))
	for i, name := range names {
		parts[i] = Part{name, out}
	}
	return w.Beside(in, true, parts...)
}

// Part names a linear of so many outputs.
type Part struct {
	Name string
	Out  int
}

// Beside reads linears of one input as one, whose outputs stand beside each other in the
// order of the parts. Without bias they have none.
func (w *Weights) Beside(in int, bias bool, parts ...Part) *Linear {
	if w.state.trains {
		return w.trainedBeside(in, bias, parts)
	}
	l, weights, complete := &Linear{}, make([]kernel.Values, len(parts)), true
	column := 0
	for i, p := range parts {
		weights[i] = w.stored(p.Name+".weight", p.Out, in)
		complete = complete && weights[i].Len() > 0
		if bias {
			values := w.values(p.Name+".bias", p.Out)
			l.bias, complete = append(l.bias, values...), complete && values != nil
		}
		module := Module{Name: w.path + p.Name, Out: p.Out, Outside: w.outside}
		l.parts, column = append(l.parts, linearPart{module.Name, column}), column+p.Out
		w.state.linears = append(w.state.linears, LinearModule{Module: module, In: in})
		if bias {
			w.state.biases = append(w.state.biases, module)
		}
	}
	if !complete {
		return nil
	}
	l.weight = kernel.NewWeight(in, w.state.precision, weights...)
	return l
}

// trainedBeside is Beside for training all weights.
func (w *Weights) trainedBeside(in int, bias bool, parts []Part) *Linear {
	l, complete := &Linear{}, true
	for _, p := range parts {
		part := kernel.LinearPart{Weight: w.param(p.Name+".weight", p.Out, in)}
		if bias {
			part.Bias = w.param(p.Name+".bias", p.Out)
		}
		complete = complete && part.Weight != nil && (part.Bias != nil || !bias)
		l.trained = append(l.trained, part)
	}
	if !complete {
		return nil
	}
	return l
}

// Forward returns [R, out] of x [R, in], with what the deltas add, which may be nil. There are
// none where the weights themselves are trained.
func (l *Linear) Forward(x mat.Tensor, deltas *Deltas) mat.Tensor {
	if l.trained != nil {
		return kernel.LinearParams(x, l.trained...)
	}
	own := deltas.of(l)
	low := make([]kernel.LowRank, len(own))
	for i, d := range own {
		low[i] = d.LowRank
		if d.Magnitude != nil && d.Drop.P > 0 {
			own[i].missing, x = l.missing(x, d.Drop)
		}
	}
	y := kernel.Linear(x, l.weight, l.bias, low...)
	y = kernel.Replace(y, l.rescale(y, own))
	return kernel.Replace(y, deltas.addBiases(y, l.parts, l.bias))
}

// Norm is a LayerNorm.
type Norm struct {
	module      string // its path; "": no adapter replaces its beta
	gamma, beta []float32
	eps         float32

	trainedGamma, trainedBeta *nn.Param // in place of gamma and beta; nil: they are frozen
}

// Norm reads name.weight and name.bias, [d] each.
func (w *Weights) Norm(name string, d int, eps float32) *Norm {
	if w.state.trains {
		return &Norm{eps: eps, trainedGamma: w.param(name+".weight", d), trainedBeta: w.param(name+".bias", d)}
	}
	n := w.FixedNorm(name, d, eps)
	n.module = w.path + name
	w.state.biases = append(w.state.biases, Module{Name: n.module, Out: d, Outside: w.outside})
	return n
}

// FixedNorm is Norm whose bias no adapter can replace.
func (w *Weights) FixedNorm(name string, d int, eps float32) *Norm {
	return &Norm{gamma: w.Values(name+".weight", d), beta: w.Values(name+".bias", d), eps: eps}
}

// PlainNorm reads name.weight [d] of a LayerNorm without a bias.
func (w *Weights) PlainNorm(name string, d int, eps float32) *Norm {
	gamma := w.Values(name+".weight", d)
	return &Norm{gamma: gamma, beta: make([]float32, len(gamma)), eps: eps}
}

// Forward normalises the rows of x + residual, [R, d], with the biases of the deltas; the residual
// and the deltas may be nil.
func (n *Norm) Forward(x, residual mat.Tensor, deltas *Deltas) mat.Tensor {
	if n.trainedGamma != nil {
		return kernel.AddLayerNormParam(x, residual, n.trainedGamma, n.trainedBeta, n.eps)
	}
	y := kernel.AddLayerNorm(x, residual, n.gamma, n.beta, n.eps)
	return kernel.Replace(y, deltas.addBiases(y, []linearPart{{module: n.module}}, n.beta))
}

// RMSNorm is a frozen norm by the root of the mean square.
type RMSNorm struct {
	gamma []float32
	eps   float32
}

// RMSNorm reads name.weight [d]; offset is added to it, which is 1 where a model multiplies by
// 1 + weight.
func (w *Weights) RMSNorm(name string, d int, eps, offset float32) *RMSNorm {
	gamma := w.Values(name+".weight", d)
	if offset != 0 {
		gamma = slices.Clone(gamma)
		for i := range gamma {
			gamma[i] += offset
		}
	}
	return &RMSNorm{gamma, eps}
}

// Forward normalises the rows of x, [R, d].
func (n *RMSNorm) Forward(x mat.Tensor) mat.Tensor { return kernel.RMSNorm(x, n.gamma, n.eps) }

// QKNorm normalises the queries and the keys of qkv, [R, (H+2·G)·k], each by its own norm: see
// [kernel.QKNorm].
func QKNorm(qkv mat.Tensor, heads, keyHeads int, query, key *RMSNorm) mat.Tensor {
	return kernel.QKNorm(qkv, heads, keyHeads, query.gamma, key.gamma, query.eps)
}

// TrainedLinear is a Linear that is trained: a head.
type TrainedLinear struct {
	nn.Module
	Weight *nn.Param // [out, in]
	Bias   *nn.Param // [1, out]; nil: none
}

// TrainedLinear reads a copy of name.weight and, with a bias, of name.bias.
func (w *Weights) TrainedLinear(name string, out, in int, bias bool) *TrainedLinear {
	weight, values := w.values(name+".weight", out, in), []float32(nil)
	if bias {
		values = w.values(name+".bias", out)
	}
	if weight == nil || bias && values == nil {
		return nil
	}
	return newTrainedLinear(out, in, weight, values)
}

// NewTrainedLinear draws a new one as transformers does: weights from
// N(0, std²), std being initializer_range, and a bias of zeros if there is one.
func NewTrainedLinear(out, in int, bias bool, std float64, random *rand.Rand) *TrainedLinear {
	weight, values := make([]float32, out*in), []float32(nil)
	for i := range weight {
		weight[i] = float32(random.NormFloat64() * std)
	}
	if bias {
		values = make([]float32, out)
	}
	return newTrainedLinear(out, in, weight, values)
}

func newTrainedLinear(out, in int, weight, bias []float32) *TrainedLinear {
	l := &TrainedLinear{Weight: kernel.NewParam(out, in, slices.Clone(weight))}
	if bias != nil {
		l.Bias = kernel.NewParam(1, out, slices.Clone(bias))
	}
	return l
}

// Forward returns [R, out] of x [R, in].
func (l *TrainedLinear) Forward(x mat.Tensor) mat.Tensor {
	return kernel.LinearParam(x, l.Weight, l.Bias)
}

// Clone returns a copy that is trained by itself.
func (l *TrainedLinear) Clone() *TrainedLinear {
	var bias []float32
	if l.Bias != nil {
		bias = kernel.Data(l.Bias)
	}
	return newTrainedLinear(kernel.Rows(l.Weight), kernel.Cols(l.Weight), kernel.Data(l.Weight), bias)
}
