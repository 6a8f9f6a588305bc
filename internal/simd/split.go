package simd

import "math"

// splitter has the kernels of products of float32 with bfloat16 from those of bfloat16, where these are many times as fast.
// A float32 is the sum of three bfloat16, its planes, and products of bfloat16 are exact in float32. AMX takes subnormal
// numbers for zero: values below 2⁻¹⁰³ may lose digits.
//
// A matrix of float32 would have three planes too, and six products that count. On a core of their own these were half again
// as fast as those of float32; where the core's other hyperthread was busy, loads of tiles took four times as long, no longer
// beside the products but between them, and the six were a fifth slower.
type splitter struct {
	// row splits steps of a left-hand side.
	row func(steps int, x, to []float32)
	// multiply sets the sums of rows [rows, splitStep], or adds to them if there are more. leftSteps is how many steps left has.
	multiply func(rows int, left []float32, leftSteps int, right []float32, steps int, sums []float32, more bool)
	// add sets columns of c to start plus sums; startStride is 0 for one row of all.
	add func(rows, columns int, c []float32, cStride int, sums, start []float32, startStride int)
}

const (
	// leastSplit is the least K of a matrix that is multiplied in planes: with fewer terms sums might be rounded more often
	// than those of float32.
	leastSplit = 64
	splitRows  = 12 * 32     // rows that are multiplied at once, as blockRows
	splitStep  = 32          // rows of a matrix in a step, and columns of a panel
	planeSize  = 32 * 32 / 2 // values that hold a plane of a step
	splitSize  = 3 * planeSize
)

// inPlanes tells whether a product is computed in planes. Few rows take no longer than the matrix is read.
func (b *Matrix) inPlanes(p product) bool {
	return active.splitter != nil && b.format == BFloat16 && p.rows >= fewRows && b.k >= leastSplit && !p.transposed && !p.rounded
}

// splitSpace is what a product in planes needs.
type splitSpace struct {
	left []float32                          // planes
	sums []float32                          // rows of splitStep
	rest [splitStep / 2 * splitStep]float32 // a step that is not whole
}

// stepsOf returns how many steps so many rows are, how many of them are whole, and the rows of the one that is not.
func stepsOf(height int) (steps, whole, rest int) {
	return (height + splitStep - 1) / splitStep, height / splitStep, height % splitStep
}

// splitLeft splits the rows of a block, each to where its tile begins.
func (s *splitSpace) splitLeft(k *block) {
	steps, whole, rest := stepsOf(k.height)
	s.left = grown(s.left, (k.rows+splitStep-1)/splitStep*steps*splitSize)
	for i := range k.rows {
		x := k.a[(k.first+i)*k.aStride+k.row:][:k.height]
		to := s.left[i/splitStep*steps*splitSize+i%splitStep*splitStep/2:]
		if whole > 0 {
			active.splitter.row(whole, x, to)
		}
		if rest > 0 {
			clear(s.rest[copy(s.rest[:], x[whole*splitStep:]):splitStep])
			active.splitter.row(1, s.rest[:], to[whole*splitSize:])
		}
	}
}

// multiplySplit multiplies a block in planes with a panel.
func (b *Matrix) multiplySplit(w *workspace, k *block, panel int) {
	s := &w.split
	s.sums = grown(s.sums, k.rows*splitStep)
	b.sumPlanes(s, k, b.panel(k.row, k.height, panel))
	column := panel * b.width
	columns := min(b.width, b.n-column)
	c := k.c[k.first*k.cStride+column:]
	add := func(row, rows int) {
		start, stride := c[row*k.cStride:], k.cStride
		if k.row == 0 && !k.accumulate {
			start, stride = w.starts(k.bias, column, columns, splitStep), 0
		}
		active.splitter.add(rows, columns, c[row*k.cStride:], k.cStride, s.sums[row*splitStep:], start, stride)
	}
	if finite(s.sums) {
		add(0, k.rows)
		return
	}
	// An infinity is not the sum of its planes, and products of planes may overflow where the sum does not.
	for i := range k.rows {
		if finite(s.sums[i*splitStep:][:splitStep]) {
			add(i, 1)
			continue
		}
		row := block{product: k.part(k.first+i, k.first+i+1), row: k.row, height: k.height, rows: 1}
		row.planes = false
		b.leftHand(&row, w)
		b.multiplyPanels(w, &row, panel, panel+1)
	}
}

func finite(x []float32) bool { return MaxAbs(x) <= math.MaxFloat32 }

// sumPlanes sets the sums to a block times its rows of a panel.
func (b *Matrix) sumPlanes(s *splitSpace, k *block, panel []float32) {
	steps, whole, rest := stepsOf(k.height)
	const pairs = splitStep / 2 * splitStep
	if whole > 0 {
		active.splitter.multiply(k.rows, s.left, steps, panel, whole, s.sums, false)
	}
	if rest > 0 {
		clear(s.rest[copy(s.rest[:], panel[whole*pairs:]):])
		active.splitter.multiply(k.rows, s.left[whole*splitSize:], steps, s.rest[:], 1, s.sums, whole > 0)
	}
}
