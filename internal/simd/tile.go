package simd

// Product sets c [m, n] to a [m, k] times b [k, n], or adds that to c with accumulate,
// on the caller's goroutine. With transposed, a is [k, m]. The operands are read where
// they lie, nothing is packed: it is meant for products whose operands are in the
// cache. The rows of c, a and b begin every ldc, lda and ldb values.
func Product(c []float32, ldc int, a []float32, lda int, transposed bool, b []float32, ldb, m, n, k int, accumulate bool) {
	if !multiplies("Product", c, ldc, a, lda, transposed, b, ldb, m, n, k, accumulate) {
		return
	}
	op := multiplyFloat32
	if transposed {
		op = multiplyTransposed
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	t := tile{op: op, n: k, aStride: lda, bStride: ldb, bNext: active.width, cStride: ldc}
	if !accumulate {
		t.start = zeros[:]
	}
	for column := 0; column < n; column += t.panels * active.width {
		t.panels = together(op, m)
		if column+t.panels*active.width > n {
			t.panels = 1
		}
		t.columns = min(t.panels*active.width, n-column)
		t.b, t.bStride = b[column:], ldb
		if t.columns < active.width && !active.masked {
			t.b, t.bStride = w.padded(t.b, ldb, k, t.columns), active.width
		}
		w.groups(t, m, a, c[column:])
	}
}

// multiplies checks the operands of a product, and sets c where nothing is to be
// multiplied: it says whether there is.
func multiplies(f string, c []float32, ldc int, a []float32, lda int, transposed bool, b []float32, ldb, m, n, k int, accumulate bool) bool {
	checkMatrix(f, "c", len(c), ldc, m, n)
	checkMatrix(f, "b", len(b), ldb, k, n)
	if transposed {
		checkMatrix(f, "a", len(a), lda, k, m)
	} else {
		checkMatrix(f, "a", len(a), lda, m, k)
	}
	if m == 0 || n == 0 {
		return false
	}
	for r := 0; k == 0 && !accumulate && r < m; r++ {
		clear(c[r*ldc:][:n])
	}
	return k > 0
}

// padded returns a copy of columns of b, filled up to a panel.
func (w *workspace) padded(b []float32, ldb, k, columns int) []float32 {
	if len(w.right) < k*active.width {
		w.right = make([]float32, k*active.width)
	}
	for i := range k {
		copy(w.right[i*active.width:][:columns], b[i*ldb:])
	}
	return w.right
}

// Transpose writes from [rows, cols] as its transpose to [cols, rows]. Rows begin every
// fromStride and toStride values.
func Transpose(to []float32, toStride int, from []float32, fromStride, rows, cols int) {
	checkMatrix("Transpose", "from", len(from), fromStride, rows, cols)
	checkMatrix("Transpose", "to", len(to), toStride, cols, rows)
	transpose(to, toStride, from, fromStride, rows, cols)
}
