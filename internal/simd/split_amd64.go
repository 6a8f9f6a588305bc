//go:build amd64 && !purego

package simd

func splitRow(steps int, x, to []float32) {
	_, _ = x[steps*splitStep-1], to[(steps-1)*splitSize+2*planeSize+tileSteps-1]
	splitRowAMX(steps, &x[0], &to[0])
}

func addRows(rows, columns int, c []float32, cStride int, sums, start []float32, startStride int) {
	_, _, _ = c[(rows-1)*cStride+columns-1], sums[rows*splitStep-1], start[(rows-1)*startStride+columns-1]
	addRowsAMX(rows, &c[0], 4*cStride, &sums[0], &start[0], 4*startStride, uint32(1<<columns-1))
}

func multiplyPlanes(rows int, left []float32, leftSteps int, right []float32, steps int, sums []float32, more bool) {
	_ = right[steps*planeSize-1]
	for first := 0; first < rows; {
		groups, size := max(1, (rows-first)/splitStep), min(splitStep, rows-first)
		config := TileConfig(size, tileSteps)
		kernel := splitTiles1AMX
		if size > tileRows {
			kernel = splitTiles2AMX
		}
		a, sums := left[first/splitStep*leftSteps*splitSize:], sums[first*splitStep:]
		_, _ = a[((groups-1)*leftSteps+steps-1)*splitSize+2*planeSize+size*tileSteps-1], sums[groups*size*splitStep-1]
		kernel(&config[0], steps, &a[0], 4*leftSteps*splitSize, &right[0], &sums[0], more, groups)
		first += groups * size
	}
}
