package simd

// Dropout sets y to x·scale, or to 0 where an element is dropped: with the probability
// p, by the elements' numbers, of which first is that of x[0], and a key. The same key and
// number give the same choice, on every CPU.
//
// It is the upper half of SplitMix64's output (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, OOPSLA 2014; constants of variant 13), begun at a hash of
// the key, that is compared with p.
func Dropout(y, x []float32, key uint64, first int, p, scale float32) {
	sameLength("Dropout", len(y), len(x))
	counter := splitMix(key+weyl) + uint64(first)*weyl
	active.dropout(y, x, counter, uint64(float64(p)*(1<<32)), scale)
}

// weyl is the odd number next to 2^64 divided by the golden ratio: its multiples spread evenly.
const weyl = 0x9e3779b97f4a7c15

func splitMix(z uint64) uint64 {
	z ^= z >> 30
	z *= 0xbf58476d1ce4e5b9
	z ^= z >> 27
	z *= 0x94d049bb133111eb
	return z ^ z>>31
}

func dropoutGeneric(y, x []float32, counter, threshold uint64, scale float32) {
	for i, v := range x {
		v *= scale
		if splitMix(counter+uint64(i)*weyl)>>32 < threshold {
			v = 0
		}
		y[i] = v
	}
}
