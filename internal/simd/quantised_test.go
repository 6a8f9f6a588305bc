package simd

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"
)

// testBlocks are blocks of one of ggml's types, decoded one by one as ggml-quants.c defines it.
type testBlocks struct {
	kind string
	data []byte
}

// blockLayout is how many elements a block has, how many bytes, and where its float16 are.
type blockLayout struct {
	elements, bytes int
	halves          []int
}

var blockLayouts = map[string]blockLayout{
	"Q8_0": {32, 34, []int{0}},
	"Q4_0": {32, 18, []int{0}},
	"Q4_1": {32, 20, []int{0, 2}},
	"Q5_0": {32, 22, []int{0}},
	"Q5_1": {32, 24, []int{0, 2}},
	"Q2_K": {256, 84, []int{80, 82}},
	"Q3_K": {256, 110, []int{108}},
	"Q4_K": {256, 144, []int{0, 2}},
	"Q5_K": {256, 176, []int{0, 2}},
	"Q6_K": {256, 210, []int{208}},
}

func (b testBlocks) Len() int {
	layout := blockLayouts[b.kind]
	return len(b.data) / layout.bytes * layout.elements
}
func (b testBlocks) Layout() (string, []byte) { return b.kind, b.data }

func (b testBlocks) Widen(y []float32, from int) {
	for i := range y {
		y[i] = b.value(from + i)
	}
}

func (b testBlocks) value(i int) float32 {
	layout := blockLayouts[b.kind]
	block := b.data[i/layout.elements*layout.bytes:][:layout.bytes]
	i %= layout.elements
	half := func(at int) float32 { return float32(valueOfHalf(binary.LittleEndian.Uint16(block[at:]))) }
	nibble := func(at int) int { return int(block[at+i%16] >> (i / 16 * 4) & 15) }
	fifth := func(at int) int { return int(binary.LittleEndian.Uint32(block[at:])>>i&1) << 4 }
	switch b.kind {
	case "Q8_0":
		return half(0) * float32(int8(block[2+i]))
	case "Q4_0":
		return half(0) * float32(nibble(2)-8)
	case "Q4_1":
		return float32(half(0)*float32(nibble(4))) + half(2)
	case "Q5_0":
		return half(0) * float32(nibble(6)|fifth(2)-16)
	case "Q5_1":
		return float32(half(0)*float32(nibble(8)|fifth(4))) + half(2)
	case "Q2_K": // as in Q3_K the halves are 4 times 32 elements
		q := block[16+i/128*32+i%32] >> (i / 32 % 4 * 2) & 3
		return float32(half(80)*float32(block[i/16]&15)*float32(q)) - half(82)*float32(block[i/16]>>4)
	case "Q3_K":
		q, j := block[32+i/128*32+i%32]>>(i/32%4*2)&3|block[i%32]>>(i/32)&1<<2, i/16
		scale := block[96+j%8]>>(j/8*4)&15 | block[104+j%4]>>(j/4*2)&3<<4
		return half(108) * float32(int(scale)-32) * float32(int(q)-4)
	case "Q4_K", "Q5_K":
		scale, least := scaleOfQ4K(block[4:16], i/32)
		q := block[layout.bytes-128+i/64*32+i%32] >> (i / 32 % 2 * 4) & 15
		if b.kind == "Q5_K" {
			q |= block[16+i%32] >> (i / 32) & 1 << 4
		}
		return float32(half(0)*float32(scale)*float32(q)) - half(2)*float32(least)
	default: // Q6_K, whose halves are 4 times 32 elements
		low, high := block[i/128*64+i%64]>>(i/64%2*4)&15, block[128+i/128*32+i%32]>>(i/32%4*2)&3
		return half(208) * float32(int8(block[192+i/16])) * float32(int(high<<4|low)-32)
	}
}

// scaleOfQ4K is get_scale_min_k4 of ggml-quants.c.
func scaleOfQ4K(q []byte, j int) (d, m byte) {
	if j < 4 {
		return q[j] & 63, q[j+4] & 63
	}
	return q[j+4]&0xf | q[j-4]>>6<<4, q[j+4]>>4 | q[j]>>6<<4
}

// randomBlocks returns rows of blocks whose scales are ordinary numbers.
func randomBlocks(kind string, rows, cols int, seed uint64) testBlocks {
	r, layout := seeded(seed), blockLayouts[kind]
	data := make([]byte, rows*cols/layout.elements*layout.bytes)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for at := 0; at < len(data); at += layout.bytes {
		for _, half := range layout.halves {
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
	right.Pack(values, q.k, q.n, q.k)
	packed.PackValues(q.k, false, false, Values{Blocks: w})
	if !sameBits(packed.values, right.values) {
		t.Fatalf("%+v: packed from blocks the matrix that is not transposed is another", q)
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

// kinds are the block types to test: of all the code around the kernels one is enough, for the race detector and under emulation.
func kinds() []string {
	if testing.Short() {
		return []string{"Q4_K"}
	}
	return allKinds()
}

func allKinds() []string { return slices.Sorted(maps.Keys(blockLayouts)) }

func eachKind(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range kinds() {
		t.Run(kind, func(t *testing.T) { eachLevel(t, func(t *testing.T) { f(t, kind) }) })
	}
}

func TestMulParts(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		block := blockLayouts[kind].elements
		for m := 1; m <= 9; m++ {
			quantisedCase{kind, m, 32 + 13*(m%4), block * (1 + m%5), m % 3, m%2 == 0}.check(t)
		}
		for _, m := range []int{readBlocks, readBlocks + 1, fewRows + 1} { // packed by strips, of which the last ends anywhere
			quantisedCase{kind, m, 45, block, m % 3, m%2 == 0}.check(t)
		}
		quantisedCase{kind, readBlocks + 1, 100, 4 * 768, 1, true}.check(t) // more than one strip
		for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 64, 100} {
			quantisedCase{kind, 1 + n%3, n, 2 * block, 0, n%2 == 0}.check(t)
		}
		for _, k := range []int{384, 416, 800} { // more than one strip of a packed matrix, which blocks may straddle
			quantisedCase{kind, 3, 64, (k + block - 1) / block * block, 1, true}.check(t)
		}
	})
}

// Blocks are read as they are where every part is of a layout with kernels; parts may have any of them, and end anywhere.
func TestMulPartsOfSeveralLayouts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const k, m = 512, 3
		parts, values := []Values{}, []float32{}
		for i, kind := range allKinds() {
			w := randomBlocks(kind, []int{40, 33, 64}[i%3], k, uint64(i))
			parts, values = append(parts, Values{Blocks: w}), append(values, w.floats()...)
		}
		if want := active.quantised != nil; ReadsBlocks(parts...) != want {
			t.Errorf("ReadsBlocks is %v, want %v", !want, want)
		}
		parts = append(parts, Values{Float32: normal(seeded(9), 5*k)})
		values = append(values, parts[len(parts)-1].Float32...)
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
		var packed Matrix
		right.Pack(values, k, n, k)
		packed.PackValues(k, false, false, parts...)
		if !sameBits(packed.values, right.values) {
			t.Error("packed from blocks the matrix is another")
		}
	})
}

// Neither the processors nor other rows change a bit.
func TestMulPartsDivided(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		checkDivided(t, kind, 7, 700, 768)
		checkDivided(t, kind, readBlocks+2, 300, 512)
	})
}

func checkDivided(t *testing.T, kind string, m, n, k int) {
	t.Helper()
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
}

// decodedBlocks are blocks whose values were decoded before.
type decodedBlocks struct {
	testBlocks
	values []float32
}

func (b decodedBlocks) Widen(y []float32, from int) { copy(y, b.values[from:]) }

// Every float16 as a scale, and as a minimum, among them infinities and NaN, gives what the definition gives.
func TestMulPartsSpecialValues(t *testing.T) {
	for _, kind := range kinds() {
		layout := blockLayouts[kind]
		n, k := 1<<16, layout.elements
		for _, half := range layout.halves {
			w := randomBlocks(kind, n, k, 3)
			for i := range n {
				binary.LittleEndian.PutUint16(w.data[i*layout.bytes+half:], uint16(i))
			}
			blocks := decodedBlocks{w, w.floats()}
			t.Run(fmt.Sprintf("%s/%d", kind, half), func(t *testing.T) {
				eachLevel(t, func(t *testing.T) { checkSpecialValues(t, blocks, n, k) })
			})
		}
	}
}

// checkSpecialValues takes one element at a time, so that sums are the weights; 0·∞ is NaN.
func checkSpecialValues(t *testing.T, w decodedBlocks, n, k int) {
	var right Matrix
	right.PackTransposed(w.values, k, n, k)
	want, got := make([]float32, 2*n), make([]float32, 2*n)
	for i := 0; i < k; i += 1 + k/8 {
		a := make([]float32, 2*k)
		a[i], a[k+i] = 1, float32(math.Inf(-1))
		MulParts(got, n, a, k, 2, nil, k, Values{Blocks: w})
		right.Mul(want, n, a, k, 2, nil, false)
		for j, v := range got {
			if !same(v, float64(want[j])) || math.Signbit(float64(v)) != math.Signbit(float64(want[j])) && v == v {
				t.Fatalf("column %d, element %d: %v, want %v", j, i, v, want[j])
			}
		}
		if i > 0 && testing.Short() {
			break
		}
	}
}

// The weights of the head of SmolLM2-135M come from memory: they are to be read as fast as BenchmarkPeak of package peak reads.
func BenchmarkMulBlocks(b *testing.B) {
	const n = 49152
	for kind, layout := range blockLayouts {
		k := 576
		if layout.elements == 256 {
			k = 512
		}
		w := randomBlocks(kind, n, k, 1)
		for _, m := range []int{1, 2, 4, 8, 16, 32, 128} {
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
					b.ReportMetric(float64(k*n/layout.elements*layout.bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
