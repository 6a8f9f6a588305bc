package train

import (
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/simd"
	"github.com/gopeft/gopeft/models"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019), as
// torch.optim.AdamW computes it: the decay is scaled by the learning rate alone, and
// epsilon is added after the bias correction.
type AdamW struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	// Decays tells which parameters WeightDecay is for; nil: all.
	Decays func(models.NamedParam) bool

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
	for i, p := range a.params {
		numbers := simd.AdamWNumbers{LearningRate: learningRate, Beta1: a.Beta1, Beta2: a.Beta2, Epsilon: a.Epsilon, Step: a.step}
		if a.Decays == nil || a.Decays(p) {
			numbers.WeightDecay = a.WeightDecay
		}
		if p.Param.HasGrad() {
			simd.AdamW(kernel.Data(p.Param), kernel.Data(p.Param.Grad()), a.moments[i].first, a.moments[i].second, numbers)
		}
	}
}

// ZeroGrad forgets the gradients.
func (a *AdamW) ZeroGrad() {
	for _, p := range a.params {
		p.Param.ZeroGrad()
	}
}
