//go:build amd64 && !purego

package simd

func splitRow(steps int, x, to []float32) {
	_, _ = x[steps*splitStep-1], to[(steps-1)*splitSize+2*planeSize+tileSteps-1]
	splitRowAMX(steps, &x[0], &to[0])
}

func splitPanel(steps int, b, to []float32) {
	_, _ = b[steps*splitStep*splitStep-1], to[steps*splitSize-1]
	splitPanelAMX(steps, &b[0], &to[0])
}

func addRows(rows, columns int, c []float32, cStride int, sums, start []float32, startStride int) {
	_, _, _ = c[(rows-1)*cStride+columns-1], sums[rows*splitStep-1], start[(rows-1)*startStride+columns-1]
	addRowsAMX(rows, &c[0], 4*cStride, &sums[0], &start[0], 4*startStride, uint32(1<<columns-1))
}

// splitTiles are the kernels for panels of a format: for one tile of rows and for two.
var splitTiles = [...][2]func(config *byte, steps int, a *float32, aNext int, b, sums *float32, more bool, groups int){
	Float32:  {splitTiles1x3AMX, splitTiles2x3AMX},
	BFloat16: {splitTiles1x1AMX, splitTiles2x1AMX},
}

func multiplyPlanes(rows int, left []float32, leftSteps int, right []float32, format Format, steps int, sums []float32, more bool) {
	_ = right[steps*[...]int{Float32: splitSize, BFloat16: planeSize}[format]-1]
	for first := 0; first < rows; {
		groups := max(1, (rows-first)/splitStep)
		size := min(splitStep, rows-first)
		config := TileConfig(size, tileSteps)
		a, sums := left[first/splitStep*leftSteps*splitSize:], sums[first*splitStep:]
		_, _ = a[((groups-1)*leftSteps+steps-1)*splitSize+2*planeSize+size*tileSteps-1], sums[groups*size*splitStep-1]
		splitTiles[format][(size-1)/tileRows](&config[0], steps, &a[0], 4*leftSteps*splitSize, &right[0], &sums[0], more, groups)
		first += groups * size
	}
}
