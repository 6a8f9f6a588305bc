package simd

// Product sets c [m, n] to a [m, k] times b [k, n], or adds that to c with accumulate,
// on the caller's goroutine. With transposed, a is [k, m]. The operands are read where
// they lie, nothing is packed: it is meant for products whose operands are in the
// cache. The rows of c, a and b begin every ldc, lda and ldb values.
func Product(c []float32, ldc int, a []float32, lda int, transposed bool, b []float32, ldb, m, n, k int, accumulate bool) {
	checkMatrix("Product", "c", len(c), ldc, m, n)
	checkMatrix("Product", "b", len(b), ldb, k, n)
	if transposed {
		checkMatrix("Product", "a", len(a), lda, k, m)
	} else {
		checkMatrix("Product", "a", len(a), lda, m, k)
	}
	for r := range m {
		row := c[r*ldc:][:n]
		if !accumulate {
			clear(row)
		}
		for i := range k {
			at := r*lda + i
			if transposed {
				at = i*lda + r
			}
			Axpy(a[at], b[i*ldb:][:n], row)
		}
	}
}

// Transpose writes from [rows, cols] as its transpose to [cols, rows]. Rows begin every
// fromStride and toStride values.
func Transpose(to []float32, toStride int, from []float32, fromStride, rows, cols int) {
	checkMatrix("Transpose", "from", len(from), fromStride, rows, cols)
	checkMatrix("Transpose", "to", len(to), toStride, cols, rows)
	transpose(to, toStride, from, fromStride, rows, cols)
}
