package kernel_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/internal/simd"
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/nn"
)

// linearBoth returns x·Wᵀ + bias and the gradient of x.
func linearBoth(t *testing.T, w *kernel.Weight, x *nn.Param, bias, gradient []float32) (y, gx []float32) {
	t.Helper()
	result := kernel.Linear(x, w, bias)
	result.AccGrad(kernel.New(kernel.Rows(result), kernel.Cols(result), slices.Clone(gradient)))
	if err := ag.Backward(result); err != nil {
		t.Fatal(err)
	}
	defer x.ZeroGrad()
	return kernel.Data(result), kernel.Data(x.Grad())
}

// rounded returns x in bfloat16; package simd tests the rounding.
func rounded(x []float32) (words []uint16, values []float32) {
	words, values = make([]uint16, len(x)), make([]float32, len(x))
	simd.RoundBFloat16(words, x)
	simd.WidenBFloat16(values, words)
	return words, values
}

// In bfloat16 the product is that of the rounded operands, forward and backward, whatever
// the weight's own width and parts.
func TestLinearBFloat16(t *testing.T) {
	const rows, in, first, second = 37, 45, 64, 33
	weight, bias := numtest.Normal(1, (first+second)*in, 1), numtest.Normal(2, first+second, 1)
	x, gradient := numtest.Normal(3, rows*in, 1), numtest.Normal(4, rows*(first+second), 1)
	words, exact := rounded(weight)
	_, xr := rounded(x)
	_, gr := rounded(gradient)
	for name, w := range map[string]*kernel.Weight{
		"float32":            kernel.NewWeight(in, kernel.BFloat16, kernel.Values{Float32: weight}),
		"bfloat16":           kernel.NewWeight(in, kernel.BFloat16, kernel.Values{BFloat16: words}),
		"parts of two types": kernel.NewWeight(in, kernel.BFloat16, kernel.Values{Float32: weight[:first*in]}, kernel.Values{BFloat16: words[first*in:]}),
	} {
		t.Run(name, func(t *testing.T) {
			y, gx := linearBoth(t, w, kernel.NewParam(rows, in, x), bias, gradient)
			for r := range rows {
				for o := range first + second {
					want := float64(bias[o])
					for i := range in {
						want += float64(xr[r*in+i]) * float64(exact[o*in+i])
					}
					if got := float64(y[r*(first+second)+o]); math.Abs(got-want) > 1e-4 {
						t.Fatalf("y[%d][%d] = %v, want %v", r, o, got, want)
					}
				}
				for i := range in {
					want := 0.0
					for o := range first + second {
						want += float64(gr[r*(first+second)+o]) * float64(exact[o*in+i])
					}
					if got := float64(gx[r*in+i]); math.Abs(got-want) > 1e-4 {
						t.Fatalf("gx[%d][%d] = %v, want %v", r, i, got, want)
					}
				}
			}
		})
	}
}

// A weight of 16 bits, and one in parts, gives what the same numbers give as one matrix of float32.
func TestWeightWidths(t *testing.T) {
	const rows, in, out = 5, 24, 70
	x, gradient := numtest.Normal(3, rows*in, 1), numtest.Normal(4, rows*out, 1)
	words, exact := rounded(numtest.Normal(1, out*in, 1))
	halves := make([]uint16, out*in)
	for i := range halves {
		halves[i] = uint16(i*977)&0x83ff | uint16(12+i%5)<<10 // from 2⁻³ to 4
	}
	widened := make([]float32, out*in)
	simd.WidenFloat16(widened, halves)
	for _, c := range []struct {
		name  string
		whole []float32
		parts []kernel.Values
	}{
		{"bfloat16", exact, []kernel.Values{{BFloat16: words}}},
		{"float16", widened, []kernel.Values{{Float16: halves}}},
		{"parts", exact, []kernel.Values{{Float32: exact[:3*in]}, {BFloat16: words[3*in : 40*in]}, {Float32: exact[40*in:]}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := kernel.NewWeight(in, kernel.Float32, kernel.Values{Float32: c.whole})
			wantY, wantGX := linearBoth(t, whole, kernel.NewParam(rows, in, x), nil, gradient)
			y, gx := linearBoth(t, kernel.NewWeight(in, kernel.Float32, c.parts...), kernel.NewParam(rows, in, x), nil, gradient)
			numtest.SameBits(t, y, wantY)
			numtest.Close(t, gx, wantGX, 1e-5, 1e-5)
		})
	}
}

// bytesWithScale are blocks of ggml's Q8_0 whose scale is 1/2.
type bytesWithScale []int8

func (b bytesWithScale) Len() int { return len(b) }

func (b bytesWithScale) Widen(y []float32, from int) {
	for i := range y {
		y[i] = float32(b[from+i]) / 2
	}
}

func (b bytesWithScale) Layout() (string, []byte) {
	var blocks []byte
	for i, v := range b {
		if i%32 == 0 {
			blocks = append(blocks, 0, 0x38)
		}
		blocks = append(blocks, byte(v))
	}
	return "Q8_0", blocks
}

// Blocks give the numbers that their values give as float32, with few rows and with many.
func TestWeightOfBlocks(t *testing.T) {
	const in, out, rows = 64, 70, 40
	blocks, values := make(bytesWithScale, in*out), make([]float32, in*out)
	for i := range blocks {
		blocks[i] = int8(i * 37)
	}
	blocks.Widen(values, 0)
	x, gradient, bias := numtest.Normal(1, rows*in, 1), numtest.Normal(2, rows*out, 1), numtest.Normal(3, out, 1)
	for _, n := range []int{1, 3, 16, 17, rows} {
		param := func() *nn.Param { return kernel.NewParam(n, in, x[:n*in]) }
		wantY, wantGX := linearBoth(t, kernel.NewWeight(in, kernel.Float32, kernel.Values{Float32: values}), param(), bias, gradient[:n*out])
		y, gx := linearBoth(t, kernel.NewWeight(in, kernel.Float32, kernel.Values{Blocks: blocks}), param(), bias, gradient[:n*out])
		numtest.SameBits(t, y, wantY)
		numtest.SameBits(t, gx, wantGX)
	}
}

// A large weight is packed for each product of many rows alone, and for those of the backward pass; else the packed weight
// is kept. The stored values are let go where they will not be read soon, and the numbers are always the same.
func TestWeightReleasesWhatItPacked(t *testing.T) {
	const few, many = 3, 1024
	for _, c := range []struct {
		name    string
		in, out int
		// Releases: when few rows are multiplied once and twice, then many, and when many are at once.
		once, twice, thenMany, onlyMany int
	}{
		{"large", 1050, 1000, 2, 3, 4, 2}, // after packing to keep it, and after every backward pass
		{"small", 24, 40, 1, 1, 1, 1},
	} {
		values, x, gradient := numtest.Normal(1, c.out*c.in, 1), numtest.Normal(2, many*c.in, 1), numtest.Normal(3, many*c.out, 1)
		releases := 0
		weight := func() *kernel.Weight {
			releases = 0
			return kernel.NewWeight(c.in, kernel.Float32, kernel.Values{Float32: values, Release: func() { releases++ }})
		}
		both := func(w *kernel.Weight, rows, want int) (y, gx []float32) {
			y, gx = linearBoth(t, w, kernel.NewParam(rows, c.in, x[:rows*c.in]), nil, gradient[:rows*c.out])
			if releases != want {
				t.Errorf("%s, %d rows: %d releases, want %d", c.name, rows, releases, want)
			}
			return y, gx
		}
		w := weight()
		fewY, fewGX := both(w, few, c.once)
		both(w, few, c.twice)
		keptY, keptGX := both(w, many, c.thenMany)
		y, gx := both(weight(), many, c.onlyMany)
		numtest.SameBits(t, y, keptY)
		numtest.SameBits(t, gx, keptGX)
		numtest.SameBits(t, y[:few*c.out], fewY)
		numtest.SameBits(t, gx[:few*c.in], fewGX)
	}
}

// The rows of a large batch come from the table in another order, and its pages are let go on the way.
func TestEmbedReleasesTheTable(t *testing.T) {
	const width, rows, looked = 3, 50, 600
	releases, table := 0, numtest.Normal(1, rows*width, 1)
	index, want := make([]int, looked), []float32{}
	for i := range index {
		index[i] = i * 7 % rows
		want = append(want, table[index[i]*width:][:width]...)
	}
	values := kernel.Values{Float32: table, Release: func() { releases++ }}
	got := kernel.Embed(nil, kernel.Lookup{Table: values, Width: width, Index: index})
	numtest.SameBits(t, kernel.Data(got), want)
	if releases != 2 {
		t.Errorf("%d releases for %d rows, want one for 256 rows each", releases, looked)
	}
}
