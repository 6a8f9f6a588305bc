package simd

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// gemmCase is one product with all its choices; its operands lie in larger slices.
type gemmCase struct {
	m, n, k, pad         int
	form                 string // NT: b is [n, k]; NN: b is [k, n]; TN: and a is [k, m]; a Product of these two
	biased, accumulate   bool
	a, b, c, bias        []float32
	aStride, bStride, cs int
}

func newGemmCase(form string, m, n, k, pad int, biased, accumulate bool, seed uint64) gemmCase {
	r := seeded(seed)
	g := gemmCase{m: m, n: n, k: k, pad: pad, form: form, biased: biased, accumulate: accumulate}
	g.aStride, g.bStride, g.cs = k+pad, n+pad, n+pad
	g.a, g.b = normal(r, m*(k+pad)), normal(r, k*(n+pad))
	if form == "NT" {
		g.bStride, g.b = k+pad, normal(r, n*(k+pad))
	}
	if g.transposed() {
		g.aStride, g.a = m+pad, normal(r, k*(m+pad))
	}
	g.c = normal(r, m*g.cs)
	if biased {
		g.bias = normal(r, n)
	}
	return g
}

func (g gemmCase) transposed() bool { return strings.HasSuffix(g.form, "TN") }

// run computes the product into a copy of c.
func (g gemmCase) run() []float32 {
	c := slices.Clone(g.c)
	var right Matrix
	switch g.form {
	case "Product NN", "Product TN":
		Product(c, g.cs, g.a, g.aStride, g.transposed(), g.b, g.bStride, g.m, g.n, g.k, g.accumulate)
		return c
	case "TN":
		GemmTN(c, g.cs, g.a, g.aStride, g.b, g.bStride, g.m, g.n, g.k, g.accumulate)
		return c
	case "NT":
		right.PackTransposed(g.b, g.bStride, g.n, g.k)
	case "NN":
		right.Pack(g.b, g.bStride, g.k, g.n)
	}
	right.Mul(c, g.cs, g.a, g.aStride, g.m, g.bias, g.accumulate)
	return c
}

// reference returns an element in float64, and the sum of the magnitudes of its terms.
func (g gemmCase) reference(i, j int) (value, size float64) {
	add := func(x float64) { value, size = value+x, size+math.Abs(x) }
	if g.biased {
		add(float64(g.bias[j]))
	}
	if g.accumulate {
		add(float64(g.c[i*g.cs+j]))
	}
	for l := range g.k {
		a, b := i*g.aStride+l, l*g.bStride+j
		if g.form == "NT" {
			b = j*g.bStride + l
		}
		if g.transposed() {
			a = l*g.aStride + i
		}
		add(float64(g.a[a]) * float64(g.b[b]))
	}
	return value, size
}

// The error of a sum of k products of float32 is at most about k·2⁻²⁴ of the sum of their
// magnitudes (Higham, Accuracy and Stability, §3.1), whatever the order.
func (g gemmCase) check(t interface{ Fatalf(string, ...any) }) {
	c := g.run()
	for i := range g.m {
		for j := range g.cs {
			got := c[i*g.cs+j]
			if j >= g.n {
				if got != g.c[i*g.cs+j] {
					t.Fatalf("%v: c[%d][%d], outside of the product, was written", g, i, j)
				}
				continue
			}
			want, size := g.reference(i, j)
			if bound := float64(g.k+2) * 0x1p-24 * size; !(math.Abs(float64(got)-want) <= bound) {
				t.Fatalf("%v: c[%d][%d] = %v, want %v ± %v", g, i, j, got, want, bound)
			}
		}
	}
}

func (g gemmCase) String() string {
	return fmt.Sprintf("%s %dx%dx%d, pad %d, bias %v, accumulate %v", g.form, g.m, g.k, g.n, g.pad, g.biased, g.accumulate)
}

func TestGemmRandom(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			form := rapid.SampledFrom([]string{"NT", "NN", "TN", "Product NN", "Product TN"}).Draw(t, "form")
			addition := rapid.SampledFrom([]string{"", "bias", "accumulate"}).Draw(t, "addition")
			newGemmCase(form,
				rapid.IntRange(0, 40).Draw(t, "m"), rapid.IntRange(1, 140).Draw(t, "n"),
				rapid.OneOf(rapid.IntRange(1, 40), rapid.SampledFrom([]int{64, 511, 512, 513, 1024, 1030})).Draw(t, "k"),
				rapid.IntRange(0, 3).Draw(t, "pad"),
				addition == "bias" && len(form) == 2 && form != "TN", addition == "accumulate",
				rapid.Uint64().Draw(t, "seed"),
			).check(t)
		})
	})
}

// Every number of rows up to twice what a kernel takes at once, with every tail of columns and of K.
func TestGemmTails(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for m := 1; m <= 40; m++ {
			n, k := 1+(7*m)%67, 1+(5*m)%23
			newGemmCase("NT", m, n, k, m%3, m%2 == 0, false, uint64(m)).check(t)
			newGemmCase("NN", m, 68-n, k, m%3, false, m%2 == 0, uint64(m)).check(t)
			newGemmCase("TN", m, n, k, m%3, false, m%2 == 0, uint64(m)).check(t)
			newGemmCase("Product NN", m, n, k, m%3, false, m%2 == 0, uint64(m)).check(t)
			newGemmCase("Product TN", m, 68-n, k, m%3, false, m%2 == 0, uint64(m)).check(t)
		}
		for n := 1; n <= 100; n++ {
			newGemmCase("NT", 1+n%3, n, 9, 1, true, false, uint64(n)).check(t)
		}
	})
}

// More rows than are multiplied at once, and strides that make the left-hand side be copied.
func TestGemmLarge(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, g := range []gemmCase{
			newGemmCase("NT", 460, 33, 40, 0, true, false, 1),
			newGemmCase("NN", 300, 70, 512, 0, false, true, 2),
			newGemmCase("TN", 230, 40, 600, 1, false, false, 3),
		} {
			g.check(t)
		}
	})
}

// So many rows and terms that a level may multiply in planes, with every kind of tail.
func TestProductsInPlanes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for i, shape := range [][3]int{{256, 64, 32}, {257, 65, 33}, {290, 95, 5}, {400, 127, 70}, {300, 500, 31}, {272, 800, 1}} {
			m, k, n := shape[0], shape[1], shape[2]
			halfCase{format: BFloat16, m: m, n: n, k: k, pad: i % 3, transposed: i%2 == 0, accumulate: i%3 == 0}.check(t, uint64(i))
		}
	})
}

// Values of every magnitude whose planes are no subnormal numbers, and some of whose planes are zero.
func TestPlanesAreExact(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows, k = fewRows, leastSplit
		a, w, c := make([]float32, rows*k), make([]float32, k*k), make([]float32, rows*k)
		for i := range k {
			w[i*k+i] = 1
		}
		r := seeded(1)
		for i := range a {
			a[i] = math.Float32frombits(r.Uint32()&0x807fffff | uint32(24+r.IntN(230))<<23)
			if i%7 == 0 {
				a[i] = float32(r.IntN(9) - 4)
			}
		}
		var m Matrix
		m.PackValues(k, false, true, Values{Float32: w})
		m.Mul(c, k, a, k, rows, nil, false)
		if !slices.Equal(c, a) {
			t.Error("times the unit matrix, values change")
		}
	})
}

func TestGemmTNWithoutTerms(t *testing.T) {
	c := []float32{1, 2, 3, 4, 5, 6}
	GemmTN(c, 3, nil, 2, nil, 2, 2, 2, 0, true)
	if !slices.Equal(c, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("an accumulated empty product gives %v", c)
	}
	GemmTN(c, 3, nil, 2, nil, 2, 2, 2, 0, false)
	if !slices.Equal(c, []float32{0, 0, 3, 0, 0, 6}) {
		t.Errorf("an empty product gives %v", c)
	}
}

// The division of work changes no bit: neither the processors nor the rows and panels of a part.
func TestGemmDivided(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		cases := []gemmCase{
			newGemmCase("NT", 1, 1500, 1100, 0, true, false, 1),
			newGemmCase("NT", 5, 1500, 600, 0, true, false, 2),
			newGemmCase("NN", 257, 131, 300, 1, false, true, 3),
			newGemmCase("TN", 131, 257, 300, 1, false, true, 4),
		}
		for _, g := range cases {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			whole := g.run()
			for _, processors := range []int{2, 7} {
				runtime.GOMAXPROCS(processors)
				if !sameBits(g.run(), whole) {
					t.Errorf("%v: other bits on %d processors", g, processors)
				}
			}
		}
	})
}

func TestMultiplyParts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows, k, n = 61, 700, 130
		g := newGemmCase("NT", rows, n, k, 0, false, false, 1)
		var m Matrix
		whole := make([]float32, rows*n)
		for _, planes := range []bool{false, active.splitter != nil} {
			m.PackValues(k, true, planes, Values{Float32: g.b})
			m.multiply(product{c: whole, cStride: n, a: g.a, aStride: k, rows: rows, planes: planes}, 0, m.Panels())
			for _, cut := range []int{1, 2, 3, 13, 14, 15, 30, 60} {
				parts := make([]float32, rows*n)
				p := product{c: parts, cStride: n, a: g.a, aStride: k, rows: rows, planes: planes}
				m.multiply(p.part(0, cut), 0, m.Panels())
				m.multiply(p.part(cut, rows), 0, 2)
				m.multiply(p.part(cut, rows), 2, m.Panels())
				if !sameBits(parts, whole) {
					t.Errorf("divided at row %d the product has other bits (in planes: %v)", cut, planes)
				}
			}
		}
	})
}

// Rows that hold or give NaN or infinities are those of products of float32, and leave the others alone.
func TestSpecialValuesInPlanes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows, k, n = fewRows + 3, 450, 40
		a, w := normal(seeded(1), rows*k), normal(seeded(2), k*n)
		for i, v := range w {
			w[i] = nearestBFloat16(v)
		}
		whole, got := make([]float32, rows*n), make([]float32, rows*n)
		var m Matrix
		m.PackValues(n, false, true, Values{Float32: w})
		m.Mul(whole, n, a, k, rows, nil, false)
		a[5*k+3], a[7*k+449], a[9*k] = inf, nan, -inf
		for i := range k {
			a[11*k+i], a[13*k+i] = 0, 0
		}
		a[11*k+1], a[13*k+2] = math.MaxFloat32, 0x1p100
		w[2*n+1], w[2*n+2] = 0x1p100, 0x1p27
		w[1*n+3], w[1*n+4] = 0.5, 1
		m.PackValues(n, false, true, Values{Float32: w})
		m.Mul(got, n, a, k, rows, nil, false)
		for j := range n {
			sign := func(x float32) float32 { return x * inf }
			if got[5*n+j] != sign(w[3*n+j]) || got[7*n+j] == got[7*n+j] || got[9*n+j] != -sign(w[j]) {
				t.Fatalf("column %d of the rows with special values: %v, %v, %v", j, got[5*n+j], got[7*n+j], got[9*n+j])
			}
		}
		if x := got[11*n+3]; x != math.MaxFloat32/2 {
			t.Errorf("half of the largest value is %v", x)
		}
		if x := got[11*n+4]; x != math.MaxFloat32 {
			t.Errorf("the largest value times 1 is %v", x)
		}
		if x := got[13*n+1]; x != inf {
			t.Errorf("2¹⁰⁰ times itself is %v", x)
		}
		if x := got[13*n+2]; x != 0x1p127 {
			t.Errorf("the largest power of 2 is %v", x)
		}
		for i := range rows {
			if i%2 == 1 && i < 14 {
				continue
			}
			for j := 5; j < n; j++ {
				if got[i*n+j] != whole[i*n+j] {
					t.Fatalf("c[%d][%d], in a row of its own, is %v and not %v", i, j, got[i*n+j], whole[i*n+j])
				}
			}
		}
	})
}

// A matrix that is packed again gives the product of what was packed last.
func TestPackAgain(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		var m Matrix
		m.Pack(normal(seeded(1), 70*70), 70, 70, 70)
		g := newGemmCase("NT", 3, 37, 19, 2, false, false, 2)
		m.PackTransposed(g.b, g.bStride, g.n, g.k)
		if m.K() != 19 || m.N() != 37 {
			t.Errorf("the shape is [%d %d], want [19 37]", m.K(), m.N())
		}
		got := slices.Clone(g.c)
		m.Mul(got, g.cs, g.a, g.aStride, g.m, nil, false)
		if !sameBits(got, g.run()) {
			t.Error("the memory of an earlier matrix shows")
		}
		allocations := testing.AllocsPerRun(20, func() { m.PackTransposed(g.b, g.bStride, g.n, g.k) })
		if allocations > 2 { // closures
			t.Errorf("packing again allocates %v times", allocations)
		}
	})
}

func TestGemmSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		var m Matrix
		m.PackTransposed([]float32{1, 1, inf, 1, nan, 1}, 2, 3, 2)
		c := make([]float32, 6)
		m.Mul(c, 3, []float32{1, 2, 0, 1}, 2, 2, nil, false)
		if c[0] != 3 || c[1] != inf || c[2] == c[2] || c[3] != 1 || c[4] == c[4] || c[5] == c[5] {
			t.Errorf("got %v, want [3 +Inf NaN 1 NaN NaN]", c)
		}
		// Values of c that are not accumulated to do not matter.
		c = []float32{nan, nan, nan}
		m.Pack([]float32{1, 2, 3}, 3, 1, 3)
		m.Mul(c, 3, []float32{2}, 1, 1, nil, false)
		if !slices.Equal(c, []float32{2, 4, 6}) {
			t.Errorf("over NaN the product is %v, want [2 4 6]", c)
		}
	})
}

func TestOtherLevelsMatrix(t *testing.T) {
	levels := available()
	if len(levels) < 2 {
		t.Skip("one level only")
	}
	var m Matrix
	m.Pack([]float32{1}, 1, 1, 1)
	defer setLevel(t, Generic)()
	if recovered(func() { m.Mul(make([]float32, 1), 1, []float32{1}, 1, 1, nil, false) }) == nil {
		t.Error("a matrix packed for another level is multiplied")
	}
}
