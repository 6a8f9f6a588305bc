package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
)

// testBlocks are blocks of 32 elements of one of ggml's types, decoded one by one as ggml-quants.c defines it.
type testBlocks struct {
	kind string
	data []byte
}

var blockBytes = map[string]int{"Q8_0": 34, "Q4_0": 18, "Q4_1": 20}

func (b testBlocks) Len() int                 { return len(b.data) / blockBytes[b.kind] * 32 }
func (b testBlocks) Layout() (string, []byte) { return b.kind, b.data }

func (b testBlocks) Widen(y []float32, from int) {
	for i := range y {
		y[i] = b.value(from + i)
	}
}

func (b testBlocks) value(i int) float32 {
	block := b.data[i/32*blockBytes[b.kind]:][:blockBytes[b.kind]]
	half := func(at int) float32 { return float32(valueOfHalf(binary.LittleEndian.Uint16(block[at:]))) }
	nibble := func(at int) int { return int(block[at+i%16] >> (i % 32 / 16 * 4) & 15) }
	switch d := half(0); b.kind {
	case "Q8_0":
		return d * float32(int8(block[2+i%32]))
	case "Q4_0":
		return d * float32(nibble(2)-8)
	default:
		return float32(d*float32(nibble(4))) + half(2)
	}
}

// randomBlocks returns rows of blocks whose scales are ordinary numbers.
func randomBlocks(kind string, rows, cols int, seed uint64) testBlocks {
	r, size := seeded(seed), blockBytes[kind]
	data := make([]byte, rows*cols/32*size)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for at := 0; at < len(data); at += size {
		for half := 0; half < size%16; half += 2 { // what is beside 16 or 32 bytes of quants
			binary.LittleEndian.PutUint16(data[at+half:], uint16(r.Uint32())&0x83ff|uint16(5+r.IntN(12))<<10)
		}
	}
	return testBlocks{kind, data}
}

func (b testBlocks) floats() []float32 {
	w := make([]float32, b.Len())
	b.Widen(w, 0)
	return w
}

// quantisedCase is a product with blocks.
type quantisedCase struct {
	kind         string
	m, n, k, pad int
	biased       bool
}

func (q quantisedCase) operands() (w testBlocks, a, c, bias []float32) {
	r := seeded(uint64(q.m + 100*q.n))
	if q.biased {
		bias = normal(r, q.n)
	}
	return randomBlocks(q.kind, q.n, q.k, uint64(q.n)), normal(r, q.m*(q.k+q.pad)), normal(r, q.m*(q.n+q.pad)), bias
}

// check compares a product, and one packed from blocks, with that of the widened values to the bit, and with float64 within the
// bound of gemmCase.check.
func (q quantisedCase) check(t *testing.T) {
	t.Helper()
	w, a, before, bias := q.operands()
	lda, ldc := q.k+q.pad, q.n+q.pad
	values := w.floats()
	var right, packed Matrix
	right.PackTransposed(values, q.k, q.n, q.k)
	want := slices.Clone(before)
	right.Mul(want, ldc, a, lda, q.m, bias, false)
	got := slices.Clone(before)
	MulParts(got, ldc, a, lda, q.m, bias, q.k, Values{Blocks: w})
	if !sameBits(got, want) {
		t.Fatalf("%+v: other bits than those of the product of float32", q)
	}
	packed.PackValues(q.k, true, false, Values{Blocks: w})
	if !sameBits(packed.values, right.values) {
		t.Fatalf("%+v: packed from blocks the matrix is another", q)
	}
	for i := range q.m {
		for j := range q.n {
			sum, size := 0.0, 0.0
			if bias != nil {
				sum, size = float64(bias[j]), math.Abs(float64(bias[j]))
			}
			for l := range q.k {
				term := float64(a[i*lda+l]) * float64(values[j*q.k+l])
				sum, size = sum+term, size+math.Abs(term)
			}
			if bound := float64(q.k+2) * 0x1p-24 * size; !(math.Abs(float64(got[i*ldc+j])-sum) <= bound) {
				t.Fatalf("%+v: c[%d][%d] = %v, want %v ± %v", q, i, j, got[i*ldc+j], sum, bound)
			}
		}
	}
}

func eachKind(t *testing.T, f func(t *testing.T, kind string)) {
	for kind := range blockBytes {
		t.Run(kind, func(t *testing.T) { eachLevel(t, func(t *testing.T) { f(t, kind) }) })
	}
}

func TestMulParts(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		for m := 1; m <= 9; m++ {
			quantisedCase{kind, m, 32 + 13*(m%4), 32 * (1 + m%5), m % 3, m%2 == 0}.check(t)
		}
		for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 64, 100} {
			quantisedCase{kind, 1 + n%3, n, 64, 0, n%2 == 0}.check(t)
		}
		for _, k := range []int{384, 416, 800} { // more than one strip of a packed matrix
			quantisedCase{kind, 3, 64, k, 1, true}.check(t)
		}
	})
}

// Blocks are read as they are where every part is of a layout with kernels; parts may have any of them, and end anywhere.
func TestMulPartsOfSeveralLayouts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const k, m = 96, 3
		parts, values := []Values{}, []float32{}
		for i, rows := range []int{40, 33, 64} {
			w := randomBlocks([]string{"Q8_0", "Q4_0", "Q4_1"}[i], rows, k, uint64(i))
			parts, values = append(parts, Values{Blocks: w}), append(values, w.floats()...)
		}
		if want := active.quantised != nil; ReadsBlocks(parts...) != want {
			t.Errorf("ReadsBlocks is %v, want %v", !want, want)
		}
		parts = append(parts, Values{Float32: normal(seeded(9), 5*k)})
		values = append(values, parts[3].Float32...)
		if ReadsBlocks(parts...) {
			t.Error("float32 are read as blocks")
		}
		n, a := len(values)/k, normal(seeded(1), m*k)
		var right Matrix
		right.PackTransposed(values, k, n, k)
		want, got := make([]float32, m*n), make([]float32, m*n)
		right.Mul(want, n, a, k, m, nil, false)
		MulParts(got, n, a, k, m, nil, k, parts...)
		if !sameBits(got, want) {
			t.Error("other bits than those of the product of float32")
		}
	})
}

// Neither the processors nor other rows change a bit.
func TestMulPartsDivided(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		const m, n, k = 7, 1500, 576
		w, a, _, bias := quantisedCase{kind, m, n, k, 0, true}.operands()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		whole := make([]float32, m*n)
		MulParts(whole, n, a, k, m, bias, k, Values{Blocks: w})
		for _, processors := range []int{2, 7} {
			runtime.GOMAXPROCS(processors)
			got := make([]float32, m*n)
			MulParts(got, n, a, k, m, bias, k, Values{Blocks: w})
			if !sameBits(got, whole) {
				t.Errorf("other bits on %d processors", processors)
			}
		}
		for r := range m {
			got := make([]float32, n)
			MulParts(got, n, a[r*k:], k, 1, bias, k, Values{Blocks: w})
			if !sameBits(got, whole[r*n:][:n]) {
				t.Errorf("row %d alone has other bits", r)
			}
		}
	})
}

// Every float16 as a scale, among them infinities and NaN, gives what the definition gives.
func TestMulPartsSpecialValues(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		const k = 32
		w := randomBlocks(kind, 1<<16, k, 3)
		for i := range 1 << 16 {
			binary.LittleEndian.PutUint16(w.data[i*blockBytes[kind]:], uint16(i))
		}
		n, got := 1<<16, make([]float32, 2<<16)
		for i := range k { // one element at a time, so that sums are the weights; 0·∞ is NaN
			a := make([]float32, 2*k)
			a[i], a[k+i] = 1, float32(math.Inf(-1))
			MulParts(got, n, a, k, 2, nil, k, Values{Blocks: w})
			var right Matrix
			right.PackTransposed(w.floats(), k, n, k)
			want := make([]float32, len(got))
			right.Mul(want, n, a, k, 2, nil, false)
			for j, v := range got {
				if !same(v, float64(want[j])) || math.Signbit(float64(v)) != math.Signbit(float64(want[j])) && v == v {
					t.Fatalf("column %d, element %d: %v, want %v", j, i, v, want[j])
				}
			}
			if i == 1 || testing.Short() {
				break
			}
		}
	})
}

// The weights of the head of SmolLM2-135M come from memory: they are to be read as fast as BenchmarkPeak of package peak reads.
func BenchmarkMulBlocks(b *testing.B) {
	const k, n = 576, 49152
	for kind, bytes := range blockBytes {
		w := randomBlocks(kind, n, k, 1)
		for _, m := range []int{1, 2, 4, 8, 16, 32} {
			a, y := normal(seeded(1), m*k), make([]float32, m*n)
			for name, f := range map[string]func(){
				"read": func() { MulParts(y, n, a, k, m, nil, k, Values{Blocks: w}) },
				"packed": func() {
					right := matrices.Get().(*Matrix)
					defer matrices.Put(right)
					right.PackValues(k, true, false, Values{Blocks: w})
					right.Mul(y, n, a, k, m, nil, false)
				},
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", kind, m, name), func(b *testing.B) {
					for b.Loop() {
						f()
					}
					b.ReportMetric(float64(k*n/32*bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
