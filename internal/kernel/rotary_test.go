package kernel_test

import (
	"math"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/nlpodyssey/spago/mat"
)

// Outside witness: a pair of elements is a complex number, which e^(i·angle) turns
// (Su et al. 2021, eq. 13).
func TestRotary(t *testing.T) {
	const heads, size, columns = 3, 6, 21 // three columns behind the heads
	positions := []int{0, 3, 1, 700}
	for _, tt := range []struct {
		name string
		kernel.RotationOptions
	}{
		{"halves", kernel.RotationOptions{Frequencies: []float32{1, 0.1, 0.01}}},
		{"neighbours", kernel.RotationOptions{Frequencies: []float32{1, 0.1, 0.01}, Neighbours: true}},
		{"part of a head, scaled", kernel.RotationOptions{Frequencies: []float32{1, 0.25}, Scale: 1.5}},
		{"part of a head, neighbours", kernel.RotationOptions{Frequencies: []float32{0.5}, Neighbours: true}},
	} {
		rotation, pairs := kernel.NewRotation(positions, tt.RotationOptions), len(tt.Frequencies)
		scale := float64(tt.Scale)
		if scale == 0 {
			scale = 1
		}
		t.Run(tt.name, operatorCase{
			inputs: []input{random("x", len(positions), columns)},
			build:  func(x []mat.Tensor) mat.Tensor { return kernel.Rotary(x[0], rotation, heads, size) },
			reference: func(x [][]float64) []float64 {
				y := append([]float64(nil), x[0]...)
				for row, position := range positions {
					for h := range heads {
						head := y[row*columns+h*size:][:size]
						for i, frequency := range tt.Frequencies {
							first, second := i, i+pairs
							if tt.Neighbours {
								first, second = 2*i, 2*i+1
							}
							sin, cos := math.Sincos(float64(float32(position) * frequency))
							z := complex(head[first], head[second]) * complex(scale*cos, scale*sin)
							head[first], head[second] = real(z), imag(z)
						}
					}
				}
				return y
			},
		}.run)
	}
}

func TestRMSNorm(t *testing.T) {
	const d, eps = 11, 1e-5
	gamma := numtest.Normal(3, d, 1)
	operatorCase{
		inputs: []input{random("x", 6, d)},
		build:  func(x []mat.Tensor) mat.Tensor { return kernel.RMSNorm(x[0], gamma, eps) },
		reference: func(x [][]float64) []float64 {
			y := append([]float64(nil), x[0]...)
			for r := 0; r < len(y); r += d {
				rmsNormalise(y[r:][:d], gamma, eps)
			}
			return y
		},
	}.run(t)
}

func TestQKNorm(t *testing.T) {
	const heads, keyHeads, size, eps = 4, 2, 3, 1e-6
	const width = (heads + 2*keyHeads) * size
	gamma := func(n int) []float32 { return numtest.Normal(uint64(n), n, 1) }
	for _, tt := range []struct {
		name       string
		query, key []float32
	}{
		{"a head by itself", gamma(size), gamma(size + 1)[:size]},
		{"all heads together", gamma(heads * size), gamma(keyHeads * size)},
	} {
		t.Run(tt.name, operatorCase{
			inputs: []input{random("qkv", 5, width)},
			build: func(x []mat.Tensor) mat.Tensor {
				return kernel.QKNorm(x[0], heads, keyHeads, tt.query, tt.key, eps)
			},
			reference: func(x [][]float64) []float64 {
				y := append([]float64(nil), x[0]...)
				for r := range 5 {
					queries := y[r*width:][:heads*size]
					keys := y[r*width+heads*size:][:keyHeads*size]
					for at := 0; at < len(queries); at += len(tt.query) {
						rmsNormalise(queries[at:][:len(tt.query)], tt.query, eps)
					}
					for at := 0; at < len(keys); at += len(tt.key) {
						rmsNormalise(keys[at:][:len(tt.key)], tt.key, eps)
					}
				}
				return y
			},
		}.run)
	}
}

func rmsNormalise(x []float64, gamma []float32, eps float64) {
	root := math.Sqrt(numtest.Dot(x, x)/float64(len(x)) + eps)
	for i := range x {
		x[i] *= float64(gamma[i]) / root
	}
}
