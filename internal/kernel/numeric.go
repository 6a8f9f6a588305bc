package kernel

import (
	"math"
)

// packed is a matrix prepared for multiply.
type packed struct {
	w         view
	transpose bool
}

func packTransposed(w view) *packed { return &packed{w, true} }
func pack(w view) *packed           { return &packed{w, false} }

func multiply(dst, a view, b *packed, bias []float32) {
	if b.transpose {
		multiplyNT(dst, a, b.w, bias)
		return
	}
	multiplyNN(dst, a, b.w)
}

func multiplyNT(dst, a, b view, bias []float32) {
	for i := range a.rows {
		x := a.row(i)
		for j := range b.rows {
			var s float32
			for k, v := range b.row(j) {
				s += v * x[k]
			}
			if bias != nil {
				s += bias[j]
			}
			dst.row(i)[j] = s
		}
	}
}

func multiplyNN(dst, a, b view) {
	for i := range a.rows {
		d := dst.row(i)
		clear(d)
		for k, v := range a.row(i) {
			for j, w := range b.row(k) {
				d[j] += v * w
			}
		}
	}
}

func multiplyTN(dst, a, b view) {
	for i := range a.cols {
		clear(dst.row(i))
	}
	for k := range a.rows {
		for i, v := range a.row(k) {
			d := dst.row(i)
			for j, w := range b.row(k) {
				d[j] += v * w
			}
		}
	}
}

// columnSums adds the rows of v in order, in float64, so that the sum is the
// same however work is divided.
func columnSums(v view) []float32 {
	sums := make([]float64, v.cols)
	for r := range v.rows {
		for c, x := range v.row(r) {
			sums[c] += float64(x)
		}
	}
	out := make([]float32, v.cols)
	for c, s := range sums {
		out[c] = float32(s)
	}
	return out
}

func addTo(dst, src []float32) {
	for i, v := range src[:len(dst)] {
		dst[i] += v
	}
}

func parallel(n, grain int, f func(from, to int)) {
	if n > 0 {
		f(0, n)
	}
}

func elementwise(n int, f func(from, to int)) { parallel(n, 4096, f) }

func rowGrain(cols int) int { return max(1, 4096/max(1, cols)) }

func softmaxRows(v view, scale float32) {
	for r := range v.rows {
		row := v.row(r)
		top := math.Inf(-1)
		for _, x := range row {
			top = math.Max(top, float64(x*scale))
		}
		sum := 0.0
		for i, x := range row {
			e := math.Exp(float64(x*scale) - top)
			sum += e
			row[i] = float32(e)
		}
		for i := range row {
			row[i] /= float32(sum)
		}
	}
}

// softmaxBackwardRows turns the gradient d of the probabilities p into that of
// the scores before the scale.
func softmaxBackwardRows(d, p view, scale float32) {
	for r := range d.rows {
		dr, pr := d.row(r), p.row(r)
		sum := 0.0
		for i := range dr {
			sum += float64(dr[i]) * float64(pr[i])
		}
		for i := range dr {
			dr[i] = pr[i] * (dr[i] - float32(sum)) * scale
		}
	}
}

// layerNormRow normalises x in place, writes x·gamma + beta to y and returns the
// inverse deviation.
func layerNormRow(y, x, gamma, beta []float32, eps float32) float32 {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean)
	}
	inverse := 1 / math.Sqrt(variance/float64(len(x))+float64(eps))
	for i, v := range x {
		x[i] = float32((float64(v) - mean) * inverse)
		y[i] = x[i]*gamma[i] + beta[i]
	}
	return float32(inverse)
}

func layerNormBackwardRow(gx, gy, normal, gamma []float32, inverse float32) {
	sum, dot := 0.0, 0.0
	for i, g := range gy {
		v := float64(g) * float64(gamma[i])
		sum += v
		dot += v * float64(normal[i])
	}
	n := float64(len(gx))
	for i, g := range gy {
		v := float64(g)*float64(gamma[i]) - sum/n - float64(normal[i])*dot/n
		gx[i] = float32(v) * inverse
	}
}

func geluForward(y, x []float32) {
	for i, v := range x {
		y[i] = float32(0.5 * float64(v) * (1 + math.Erf(float64(v)/math.Sqrt2)))
	}
}

func geluBackward(gx, gy, x []float32) {
	for i, v := range x {
		d := 0.5*(1+math.Erf(float64(v)/math.Sqrt2)) + float64(v)*math.Exp(-float64(v)*float64(v)/2)/math.Sqrt(2*math.Pi)
		gx[i] = gy[i] * float32(d)
	}
}

func tanhForward(y, x []float32) {
	for i, v := range x {
		y[i] = float32(math.Tanh(float64(v)))
	}
}
