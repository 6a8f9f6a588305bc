package simd

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// nearestBFloat16 rounds to 8 significant bits, ties to even, by arithmetic.
func nearestBFloat16(x float32) float32 {
	v := float64(x)
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return x
	}
	_, exponent := math.Frexp(v)
	ulp := math.Ldexp(1, max(exponent-8, -133)) // below 2⁻¹²⁶ the spacing stays
	return float32(math.RoundToEven(v/ulp) * ulp)
}

// valueOfHalf decodes IEEE 754 binary16 by its definition.
func valueOfHalf(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exponent, fraction := int(h>>10&31), float64(h&0x3ff)
	switch {
	case exponent == 31 && fraction != 0:
		return math.NaN()
	case exponent == 31:
		return sign * math.Inf(1)
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func same(a float32, b float64) bool { return float64(a) == b || a != a && b != b }

// Every bfloat16 and every float16 is widened exactly, and comes back when it is rounded.
func TestWidenAllHalves(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	eachLevel(t, func(t *testing.T) {
		y := make([]float32, len(all))
		WidenFloat16(y, all)
		for i, v := range y {
			if !same(v, valueOfHalf(all[i])) || math.Signbit(float64(v)) != (i >= 1<<15) {
				t.Fatalf("float16 %#04x is %v, want %v", i, v, valueOfHalf(all[i]))
			}
		}
		WidenBFloat16(y, all)
		back := make([]uint16, len(all))
		RoundBFloat16(back, y)
		for i, v := range y {
			if math.Float32bits(v) != uint32(i)<<16 {
				t.Fatalf("bfloat16 %#04x is %v", i, v)
			}
			if back[i] != all[i] && back[i] != all[i]|0x40 || v == v && back[i] != all[i] {
				t.Fatalf("%v comes back as %#04x, want %#04x", v, back[i], i)
			}
		}
	})
}

func TestRoundBFloat16(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			x := rapid.SliceOfN(rapid.Float32(), 0, 50).Draw(t, "x")
			y := make([]uint16, len(x))
			RoundBFloat16(y, x)
			for i, v := range x {
				got := math.Float32frombits(uint32(y[i]) << 16)
				want := float64(nearestBFloat16(v))
				if math.Abs(want) > math.MaxFloat32 {
					want = math.Inf(int(math.Copysign(1, want)))
				}
				if !same(got, want) {
					t.Fatalf("%v is rounded to %v, want %v", v, got, want)
				}
			}
		})
	})
}

// halfCase is a product with a right-hand side of 16 bits, packed in one of several ways.
type halfCase struct {
	format                                     Format
	transposed, fromFloat, rounded, accumulate bool // fromFloat: packed from float32
	blocks                                     bool // packed from blocks
	m, n, k, pad, cut                          int  // cut: rows of the first of two parts
}

// unknownBlocks are of a layout that no kernel knows.
type unknownBlocks struct{ Values }

func (unknownBlocks) Layout() (string, []byte) { return "", nil }

func (h halfCase) check(t interface{ Fatalf(string, ...any) }, seed uint64) {
	r := seeded(seed)
	rows, cols := h.k, h.n
	if h.transposed {
		rows, cols = cols, rows
	}
	a, c := normal(r, h.m*(h.k+h.pad)), normal(r, h.m*(h.n+h.pad))
	w, floats, values := make([]uint16, rows*cols), normal(r, rows*cols), make([]float64, rows*cols)
	for i := range w {
		switch {
		case h.format == Float16:
			w[i] = uint16(r.Uint32())&0x83ff | uint16(10+r.IntN(8))<<10
			if values[i] = valueOfHalf(w[i]); h.rounded {
				values[i] = float64(nearestBFloat16(float32(values[i])))
			}
		case h.fromFloat:
			values[i] = float64(nearestBFloat16(floats[i]))
		default:
			w[i] = uint16(math.Float32bits(floats[i]) >> 16)
			values[i] = float64(math.Float32frombits(uint32(w[i]) << 16))
		}
	}
	source := Values{BFloat16: w}
	switch {
	case h.format == Float16:
		source = Values{Float16: w}
	case h.fromFloat:
		source = Values{Float32: floats}
	}
	var right Matrix
	parts := source.cut(h.cut % rows * cols)
	for i, part := range parts {
		if h.blocks {
			parts[i] = Values{Blocks: unknownBlocks{part}}
		}
	}
	right.PackValues(cols, h.transposed, h.rounded || h.fromFloat, parts...)
	got := slices.Clone(c)
	multiply := right.Mul
	if h.rounded {
		multiply = right.MulRounded
	}
	multiply(got, h.n+h.pad, a, h.k+h.pad, h.m, nil, h.accumulate)
	for i := range h.m {
		for j := range h.n {
			want, size := 0.0, 0.0
			if h.accumulate {
				want = float64(c[i*(h.n+h.pad)+j])
				size = math.Abs(want)
			}
			for l := range h.k {
				x := a[i*(h.k+h.pad)+l]
				if h.rounded {
					x = nearestBFloat16(x)
				}
				at := l*cols + j
				if h.transposed {
					at = j*cols + l
				}
				want += float64(x) * values[at]
				size += math.Abs(float64(x) * values[at])
			}
			// As in gemmCase.check; VDPBF16PS rounds twice in a pair.
			if bound := float64(h.k+3) * 0x1p-24 * size; !(math.Abs(float64(got[i*(h.n+h.pad)+j])-want) <= bound) {
				t.Fatalf("%+v: c[%d][%d] = %v, want %v ± %v", h, i, j, got[i*(h.n+h.pad)+j], want, bound)
			}
		}
	}
}

// cut returns the values in two parts, or one.
func (v Values) cut(at int) []Values {
	if at == 0 {
		return []Values{v}
	}
	switch {
	case v.BFloat16 != nil:
		return []Values{{BFloat16: v.BFloat16[:at]}, {BFloat16: v.BFloat16[at:]}}
	case v.Float16 != nil:
		return []Values{{Float16: v.Float16[:at]}, {Float16: v.Float16[at:]}}
	}
	return []Values{{Float32: v.Float32[:at]}, {Float32: v.Float32[at:]}}
}

// Parts of several widths are one matrix of float32.
func TestPackParts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const k, n, rows = 45, 37, 3
		w, a := normal(seeded(1), n*k), normal(seeded(2), rows*max(k, n))
		halves, wide := make([]uint16, 11*k), make([]float32, 11*k)
		RoundBFloat16(halves, w[20*k:31*k])
		WidenBFloat16(wide, halves)
		copy(w[20*k:], wide)
		parts := []Values{{Float32: w[:20*k]}, {BFloat16: halves}, {Float32: w[31*k:]}}
		for _, transposed := range []bool{false, true} {
			var whole, inParts Matrix
			whole.PackValues(k, transposed, false, Values{Float32: w})
			inParts.PackValues(k, transposed, false, parts...)
			want, got := make([]float32, rows*whole.N()), make([]float32, rows*whole.N())
			whole.Mul(want, whole.N(), a, whole.K(), rows, nil, false)
			inParts.Mul(got, whole.N(), a, whole.K(), rows, nil, false)
			if !sameBits(got, want) {
				t.Errorf("transposed %v: the parts give another product", transposed)
			}
		}
	})
}

func TestHalfProducts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			h := halfCase{
				format:     rapid.SampledFrom([]Format{BFloat16, Float16}).Draw(t, "format"),
				transposed: rapid.Bool().Draw(t, "transposed"),
				accumulate: rapid.Bool().Draw(t, "accumulate"),
				m:          rapid.IntRange(0, 40).Draw(t, "m"),
				n:          rapid.IntRange(1, 140).Draw(t, "n"),
				k:          rapid.OneOf(rapid.IntRange(1, 40), rapid.SampledFrom([]int{511, 512, 513, 1024, 1030})).Draw(t, "k"),
				pad:        rapid.IntRange(0, 3).Draw(t, "pad"),
				cut:        rapid.IntRange(0, 200).Draw(t, "cut"),
				blocks:     rapid.Bool().Draw(t, "blocks"),
			}
			h.rounded = rapid.Bool().Draw(t, "rounded")
			if h.format == BFloat16 {
				h.fromFloat = rapid.Bool().Draw(t, "from float")
			}
			h.check(t, rapid.Uint64().Draw(t, "seed"))
		})
	})
}

// The division of work changes no bit of rounded products either.
func TestHalfDivided(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows, k, n = 61, 701, 130
		a, w := normal(seeded(1), rows*k), normal(seeded(2), k*n)
		var m Matrix
		m.PackValues(n, false, true, Values{Float32: w})
		whole := make([]float32, rows*n)
		m.MulRounded(whole, n, a, k, rows, nil, false)
		for _, cut := range []int{1, 2, 3, 13, 15, 60} {
			parts := make([]float32, rows*n)
			p := product{c: parts, cStride: n, a: a, aStride: k, rows: rows, rounded: true}
			m.multiply(p.part(0, cut), 0, m.Panels())
			m.multiply(p.part(cut, rows), 0, 2)
			m.multiply(p.part(cut, rows), 2, m.Panels())
			if !sameBits(parts, whole) {
				t.Errorf("divided at row %d the product has other bits", cut)
			}
		}
	})
}
