package train

import (
	"math"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// ClipGradNorm scales the gradients so that their norm over all parameters together
// is at most maxNorm, as torch.nn.utils.clip_grad_norm_ does, and returns the norm
// before. maxNorm at or below 0 only measures.
func ClipGradNorm(params []models.NamedParam, maxNorm float64) float64 {
	sum := 0.0
	for _, p := range params {
		if !p.Param.HasGrad() {
			continue
		}
		for _, g := range kernel.Data(p.Param.Grad()) {
			sum += float64(float64(g) * float64(g))
		}
	}
	norm := math.Sqrt(sum)
	scale := float32(maxNorm / (norm + 1e-6))
	if maxNorm <= 0 || scale >= 1 {
		return norm
	}
	for _, p := range params {
		if p.Param.HasGrad() {
			scaleBy(kernel.Data(p.Param.Grad()), scale)
		}
	}
	return norm
}

func scaleBy(values []float32, scale float32) {
	for i := range values {
		values[i] *= scale
	}
}
