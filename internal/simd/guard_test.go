//go:build linux

package simd

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

// edge returns values that end where memory ends, or begin where it begins: a byte beyond is a fault.
func edge(t testing.TB, n int, end bool) []float32 {
	t.Helper()
	if n == 0 {
		return nil
	}
	page := os.Getpagesize()
	size := (4*n + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{memory[:page], memory[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	at := page
	if end {
		at += size - 4*n
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[at])), n)
}

// copies returns copies of values that lie at the edges of memory.
func copies(t testing.TB, end bool) func(x []float32) []float32 {
	return func(x []float32) []float32 {
		y := edge(t, len(x), end)
		copy(y, x)
		return y
	}
}

// Functions touch nothing beside their slices, not even to read it, and give there the bits that they give anywhere.
func TestEdgesOfMemory(t *testing.T) {
	for name, f := range map[string]func(place func([]float32) []float32, n int) []float32{
		"Mul":        func(place func([]float32) []float32, n int) []float32 { return atEdges("NT", place, n) },
		"GemmTN":     func(place func([]float32) []float32, n int) []float32 { return atEdges("TN", place, n) },
		"Product NN": func(place func([]float32) []float32, n int) []float32 { return atEdges("Product NN", place, n) },
		"Product TN": func(place func([]float32) []float32, n int) []float32 { return atEdges("Product TN", place, n) },
		"Mul of bfloat16": func(place func([]float32) []float32, n int) []float32 {
			return halvesAtEdges(Values{BFloat16: slices.Repeat([]uint16{0x3f80, 0xc020, 0x4111}, 2*n*n)}, place, n)
		},
		"Mul of float16": func(place func([]float32) []float32, n int) []float32 {
			return halvesAtEdges(Values{Float16: slices.Repeat([]uint16{0x3c00, 0xc020, 0x4111}, 2*n*n)}, place, n)
		},
		"MulParts": func(place func([]float32) []float32, n int) []float32 {
			kind := allKinds()[n%len(blockLayouts)]
			m, k, rows := 4+2+1, blockLayouts[kind].elements*(1+n%3), 64 // each kernel, and more than a panel
			w := randomBlocks(kind, rows, k, uint64(n))
			memory := place(make([]float32, len(w.data)/4)) // whole words: a panel has an even number of blocks
			copy(bytesOf(memory), w.data)
			w.data = bytesOf(memory)
			a, c := place(normal(seeded(uint64(n)), m*k)), place(make([]float32, m*rows))
			MulParts(c, rows, a, k, m, place(normal(seeded(1), rows)), k, Values{Blocks: w})
			var right Matrix
			right.PackValues(k, true, false, Values{Blocks: w})
			c = append(slices.Clone(c), right.values...)
			right.PackValues(k, false, false, Values{Blocks: w})
			return append(c, right.values...)
		},
		"elements": func(place func([]float32) []float32, n int) []float32 {
			r := seeded(uint64(n))
			y, x, z := place(normal(r, n)), place(normal(r, n)), place(normal(r, n))
			for _, f := range []func(y, x []float32){Exp, Tanh, ReLU, SiLU, GELU, GELUTanh} {
				f(z, x)
				Add(y, z)
			}
			for _, f := range []func(gx, gy, x []float32){
				TanhGradient, ReLUGradient, SiLUGradient, GELUGradient, GELUTanhGradient,
			} {
				f(z, x, y)
				Axpy(0.5, z, y)
			}
			return y
		},
		"rows": func(place func([]float32) []float32, n int) []float32 {
			r := seeded(uint64(n))
			y, x, z, gamma := place(normal(r, n)), place(normal(r, n)), place(normal(r, n)), place(normal(r, n))
			LayerNormRow(y, z, x, gamma, gamma, x, 1e-5)
			LayerNormBackwardRow(y, y, z, gamma, 0.7)
			RMSNormRow(z, z, y, nil, gamma, 1e-5)
			RMSNormBackwardRow(z, z, x, gamma, 0.7)
			top, inverse := SoftmaxRow(x, 0.3)
			SoftmaxBackwardRow(x, z, 0.3, top, inverse, 0.1)
			return append(z, x[0], float32(Sum(x)), float32(Dot(x, y)), MaxAbs(y))
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				for n := 1; n <= 33; n++ {
					want := f(slices.Clone, n)
					for _, end := range []bool{false, true} {
						if got := f(copies(t, end), n); !sameBits(got, want) {
							t.Errorf("n %d, at the end %v: %v, want %v", n, end, got, want)
						}
					}
				}
			})
		})
	}
}

// bytesOf is the memory of x.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// atEdges returns a product of a size that depends on n.
func atEdges(form string, place func([]float32) []float32, n int) []float32 {
	g := newGemmCase(form, n, 1+(7*n)%41, 1+(5*n)%13, 0, form == "NT", false, uint64(n))
	a, b, c, bias := place(g.a), place(g.b), place(g.c), place(g.bias)
	switch form {
	case "NT":
		var right Matrix
		right.PackTransposed(b, g.bStride, g.n, g.k)
		right.Mul(c, g.cs, a, g.aStride, g.m, bias, false)
	case "TN":
		GemmTN(c, g.cs, a, g.aStride, b, g.bStride, g.m, g.n, g.k, true)
	default:
		Product(c, g.cs, a, g.aStride, g.transposed(), b, g.bStride, g.m, g.n, g.k, true)
	}
	return c
}

// halvesAtEdges returns a product of n rows with a matrix [6·n, n] of 16-bit values.
func halvesAtEdges(w Values, place func([]float32) []float32, n int) []float32 {
	k := 6 * n
	a, c := place(normal(seeded(uint64(n)), n*k)), place(make([]float32, n*n))
	var right Matrix
	right.PackValues(n, false, false, w)
	right.Mul(c, n, a, k, n, nil, false)
	return c
}
