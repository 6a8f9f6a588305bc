package simd

// The activations set y to f(x). Their gradients set gx to gy·f'(x), and take what
// kept f' is cheapest to make of: the argument x, or the result y. The slices of a call
// have one length; the result may be one of the arguments. Errors are stated relative
// to the result, or in absolute terms where a result near 0 is a difference.

// Exp sets y to eˣ. Relative error ≤ 2.5e-7, denormal results to their last place.
func Exp(y, x []float32) { apply("Exp", active.exp, y, x) }

// Tanh sets y to tanh x. Relative error ≤ 3e-7.
func Tanh(y, x []float32) { apply("Tanh", active.tanh, y, x) }

// TanhGradient sets gx to gy·(1-y²), y being the result of Tanh.
func TanhGradient(gx, gy, y []float32) {
	applyGradient("TanhGradient", active.tanhGradient, gx, gy, y)
}

// ReLU sets y to the larger of x and 0. NaN stays NaN, as in torch.
func ReLU(y, x []float32) { apply("ReLU", active.relu, y, x) }

// ReLUGradient sets gx to gy where y, the result of ReLU, is positive, else to 0.
func ReLUGradient(gx, gy, y []float32) {
	applyGradient("ReLUGradient", active.reluGradient, gx, gy, y)
}

// SiLU sets y to x/(1+e⁻ˣ). Relative error ≤ 5e-7; where the sigmoid would be denormal it may be 0.
func SiLU(y, x []float32) { apply("SiLU", active.silu, y, x) }

// SiLUGradient sets gx to gy times the derivative of SiLU at x. |error| ≤ 2e-7·|gy|·max(1, |x|).
func SiLUGradient(gx, gy, x []float32) {
	applyGradient("SiLUGradient", active.siluGradient, gx, gy, x)
}

// GELU sets y to x·Φ(x), Φ being the distribution function of the normal distribution: torch's
// gelu by erf. |error| ≤ 2e-7·max(1, |x|).
func GELU(y, x []float32) { apply("GELU", active.gelu, y, x) }

// GELUGradient sets gx to gy times the derivative of GELU at x, Φ(x) + x·φ(x).
// |error| ≤ 2e-7·|gy|·max(1, |x|).
func GELUGradient(gx, gy, x []float32) {
	applyGradient("GELUGradient", active.geluGradient, gx, gy, x)
}

// GELUTanh sets y to x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2: torch's gelu with
// approximate="tanh". |error| ≤ 2e-7·max(1, |x|).
func GELUTanh(y, x []float32) { apply("GELUTanh", active.geluTanh, y, x) }

// GELUTanhGradient sets gx to gy times the derivative of GELUTanh at x.
// |error| ≤ 2e-7·|gy|·max(1, |x|).
func GELUTanhGradient(gx, gy, x []float32) {
	applyGradient("GELUTanhGradient", active.geluTanhGradient, gx, gy, x)
}

func apply(name string, f func(y, x []float32), y, x []float32) {
	sameLength(name, len(y), len(x))
	f(y, x)
}

func applyGradient(name string, f func(gx, gy, kept []float32), gx, gy, kept []float32) {
	sameLength(name, len(gx), len(gy), len(kept))
	f(gx, gy, kept)
}
