package train

import (
	"math"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019), as
// torch.optim.AdamW computes it: the decay is scaled by the learning rate alone, and
// epsilon is added after the bias correction.
type AdamW struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64

	params  []models.NamedParam
	moments []moments
	step    int // steps done
}

// moments are the running means of a parameter's gradient and of its square.
type moments struct{ first, second []float32 }

// NewAdamW returns an optimiser of the parameters with torch's defaults and no decay.
func NewAdamW(params []models.NamedParam) *AdamW {
	a := &AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, params: params}
	for _, p := range params {
		n := len(kernel.Data(p.Param))
		a.moments = append(a.moments, moments{make([]float32, n), make([]float32, n)})
	}
	return a
}

// Step changes every parameter that has a gradient, and leaves the gradients.
func (a *AdamW) Step(learningRate float64) {
	a.step++
	correction1 := 1 - math.Pow(a.Beta1, float64(a.step))
	correction2 := 1 - math.Pow(a.Beta2, float64(a.step))
	u := update{
		decay:   float32(1 - learningRate*a.WeightDecay),
		beta2:   float32(a.Beta2),
		weight1: float32(1 - a.Beta1), weight2: float32(1 - a.Beta2),
		size: float32(learningRate / correction1),
		root: float32(math.Sqrt(correction2)),
		eps:  float32(a.Epsilon),
	}
	for i, p := range a.params {
		if p.Param.HasGrad() {
			u.apply(kernel.Data(p.Param), kernel.Data(p.Param.Grad()), a.moments[i])
		}
	}
}

// update is one step's numbers, in the parameters' precision.
type update struct{ decay, beta2, weight1, weight2, size, root, eps float32 }

// apply is torch's _single_tensor_adamw. The conversions keep a compiler from fusing
// a product and a sum, so that every processor gives the same bits.
func (u update) apply(values, gradient []float32, m moments) {
	for i, g := range gradient {
		m.first[i] += float32(u.weight1 * (g - m.first[i]))
		m.second[i] = float32(m.second[i]*u.beta2) + float32(u.weight2*float32(g*g))
		denominator := float32(math.Sqrt(float64(m.second[i])))/u.root + u.eps
		values[i] = float32(values[i]*u.decay) - float32(u.size*(m.first[i]/denominator))
	}
}

// ZeroGrad forgets the gradients.
func (a *AdamW) ZeroGrad() {
	for _, p := range a.params {
		p.Param.ZeroGrad()
	}
}
