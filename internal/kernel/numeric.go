package kernel

import "math"

// All products of matrices, softmaxes, norms and activations of this package are
// made by the functions of this file, and nowhere else. They are plain Go;
// vector kernels go behind these functions, without a change to an operator.

// packed is a matrix prepared for multiply.
type packed struct {
	w          view
	transposed bool
}

// packTransposed prepares w [out, in] for a·wᵀ.
func packTransposed(w view) *packed { return &packed{w, true} }

// pack prepares w [in, out] for a·w.
func pack(w view) *packed { return &packed{w, false} }

// multiply sets dst to a times the packed matrix, plus bias in every row.
func multiply(dst, a view, b *packed, bias []float32) {
	if b.transposed {
		multiplyNT(dst, a, b.w, bias)
		return
	}
	multiplyNN(dst, a, b.w)
}

// multiplyNT sets dst [m, n] to a [m, k] times the transpose of b [n, k], plus
// bias, which may be nil, in every row.
func multiplyNT(dst, a, b view, bias []float32) {
	divide(dst, a.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d, x := dst.row(i), a.row(i)
			j := 0
			for ; j+4 <= b.rows; j += 4 {
				d[j], d[j+1], d[j+2], d[j+3] = dot4(x, b.row(j), b.row(j+1), b.row(j+2), b.row(j+3))
			}
			for ; j < b.rows; j++ {
				d[j] = dot(x, b.row(j))
			}
			if bias != nil {
				addTo(d, bias)
			}
		}
	})
}

// multiplyNN sets dst [m, n] to a [m, k] times b [k, n].
func multiplyNN(dst, a, b view) {
	divide(dst, a.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d := dst.row(i)
			clear(d)
			for k, v := range a.row(i) {
				addScaled(d, b.row(k), v)
			}
		}
	})
}

// multiplyTN sets dst [m, n] to the transpose of a [k, m] times b [k, n].
func multiplyTN(dst, a, b view) {
	divide(dst, a.rows, func(from, to int) {
		for i := from; i < to; i++ {
			d := dst.row(i)
			clear(d)
			for k := range a.rows {
				addScaled(d, b.row(k), a.data[k*a.stride+i])
			}
		}
	})
}

// divide calls f for ranges of the rows of dst that are worth a goroutine each;
// an element of dst is a sum of inner products.
func divide(dst view, inner int, f func(from, to int)) {
	const worth = 1 << 20 // products
	parallel(dst.rows, max(1, worth/max(1, dst.cols*inner)), f)
}

func dot(x, y []float32) (sum float32) {
	y = y[:len(x)]
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// dot4 is four products of one x, added in the order in which dot adds.
func dot4(x, a, b, c, d []float32) (s, t, u, v float32) {
	a, b, c, d = a[:len(x)], b[:len(x)], c[:len(x)], d[:len(x)]
	for i, e := range x {
		s += e * a[i]
		t += e * b[i]
		u += e * c[i]
		v += e * d[i]
	}
	return s, t, u, v
}

// addScaled adds factor·x to dst.
func addScaled(dst, x []float32, factor float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += factor * x[i]
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
