//go:build amd64 && !purego

package simd

import "golang.org/x/sys/cpu"

// amx is what AVX-512 has, with products of bfloat16 by AMX: 8 times as many in a second as of float32.
var amx = func() *kernels {
	k := *avx512BF16
	k.level, k.tiles, k.splitter = AMX, true, &splitter{splitRow, multiplyPlanes, addRows}
	k.multiply = func(t *tile) {
		if t.op == dotBFloat16 {
			t.runTiles()
		} else {
			avx512.multiply(t)
		}
	}
	return &k
}()

// hasTiles says whether the CPU has AMX and the operating system lets this process use it.
func hasTiles() bool {
	return cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16 && allowTiles()
}

const (
	tileRows  = 16 // of a left-hand side, or of sums
	tileSteps = 16 // pairs of bfloat16 in a row of a left-hand side
)

// runTiles computes a tile of dotBFloat16 with one whole panel and any number of rows. The sum of an element is taken in an
// order that depends on t.n alone (TDPBF16PS in Intel's manual: of 16 pairs the even and the odd values are summed apart, then both added).
func (t *tile) runTiles() {
	rows := t.rows * t.groups
	_ = t.a[(rows-1)*t.aStride+t.n-1]
	_ = t.b[(t.n-1)*t.bStride+31]
	_ = t.c[(rows-1)*t.cStride+31]
	if t.start != nil {
		_ = t.start[31]
	}
	whole := t.n / tileSteps
	if whole > 0 {
		t.tileRows(rows, 0, whole, tileSteps)
	}
	if rest := t.n % tileSteps; rest > 0 {
		t.tileRows(rows, whole*tileSteps, 1, rest)
	}
}

// tileRows adds turns times steps products, the first of them numbered at.
func (t *tile) tileRows(rows, at, turns, steps int) {
	double := rows / (2 * tileRows)
	if double > 0 {
		t.tileGroups(0, 2*tileRows, double, at, turns, steps)
	}
	if done := double * 2 * tileRows; done < rows {
		t.tileGroups(done, rows-done, 1, at, turns, steps)
	}
}

// tileGroups computes groups of at most 32 rows, the first of them numbered row.
func (t *tile) tileGroups(row, rows, groups, at, turns, steps int) {
	config := TileConfig(rows, steps)
	kernel := dotTiles1AMX
	if rows > tileRows {
		kernel = dotTiles2AMX
	}
	c := &t.c[row*t.cStride]
	start, startStride := c, 4*t.cStride
	if t.start != nil && at == 0 {
		start, startStride = &t.start[0], 0
	}
	kernel(&config[0], turns, &t.a[row*t.aStride+at], 4*t.aStride, &t.b[at*t.bStride], 4*t.bStride, c, 4*t.cStride, start, startStride, groups)
}

// TileConfig is what LDTILECFG reads: the number of a palette, and the bytes in a row and the rows of each tile. Four tiles hold the
// sums of 1 to 32 rows, two their left-hand side with 1 to 16 steps, two the right-hand side.
func TileConfig(rows, steps int) (config [64]byte) {
	config[0] = 1
	set := func(tile, rows, values int) {
		config[16+2*tile], config[48+tile] = byte(4*values), byte(rows)
	}
	for tile, rows := range [2]int{min(rows, tileRows), max(1, rows-tileRows)} {
		set(2*tile, rows, tileRows)
		set(2*tile+1, rows, tileRows)
		set(4+tile, rows, steps)
		set(6+tile, steps, tileRows)
	}
	return config
}
