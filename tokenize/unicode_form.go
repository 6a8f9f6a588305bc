package tokenize

import (
	"slices"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm is NFC or NFKC or, where it does not compose, NFD or NFKD. The forms of
// golang.org/x/text break runs of more than thirty marks, which those of the reference do not.
type unicodeForm struct{ compose, compatible bool }

func readNFC(*object) normalizer  { return unicodeForm{compose: true} }
func readNFD(*object) normalizer  { return unicodeForm{} }
func readNFKC(*object) normalizer { return unicodeForm{compose: true, compatible: true} }
func readNFKD(*object) normalizer { return unicodeForm{compatible: true} }

// ordered is a character of the decomposition.
type ordered struct {
	r     rune
	class uint8
	// added is how many characters there are more than in the original: 0 for the first of
	// a decomposition, 1 for the others, less for what was composed.
	added int
}

func (f unicodeForm) normalize(in, out *text) {
	if f.isNormal(in.bytes) {
		out.copyFrom(in, span{0, int32(len(in.bytes))})
		return
	}
	var runes []ordered
	var buffer [18]rune // the longest decomposition
	for _, r := range string(in.bytes) {
		for i, d := range f.decompose(buffer[:0], r) {
			runes = append(runes, ordered{d, combiningClass(d), min(i, 1)})
		}
	}
	for from := 0; from < len(runes); from++ {
		to := from
		for to < len(runes) && runes[to].class != 0 {
			to++
		}
		slices.SortStableFunc(runes[from:to], func(a, b ordered) int { return int(a.class) - int(b.class) })
		from = max(from, to)
	}
	if f.compose {
		runes = composed(runes)
	}
	// The reference deals out the original places in their old order.
	e := edit{in: in, out: out}
	for _, x := range runes {
		e.put(x.r, x.added)
	}
}

func (f unicodeForm) decompose(runes []rune, r rune) []rune {
	if f.compatible {
		return appendCompatible(runes, r)
	}
	return appendDecomposed(runes, r)
}

func (f unicodeForm) isNormal(s []byte) bool {
	switch f {
	case unicodeForm{compose: true}:
		return norm.NFC.IsNormal(s)
	case unicodeForm{compatible: true}:
		return norm.NFKD.IsNormal(s)
	case unicodeForm{compose: true, compatible: true}:
		return norm.NFKC.IsNormal(s)
	}
	return norm.NFD.IsNormal(s)
}

// composed is canonical composition (Unicode Standard, D117).
func composed(runes []ordered) []ordered {
	kept := runes[:0]
	starter, last := -1, uint8(0) // the last starter kept, and the class of what was kept after it
	for _, x := range runes {
		blocked := starter < 0 || starter < len(kept)-1 && (last == 0 || last >= x.class)
		if !blocked {
			if r, ok := composePair(kept[starter].r, x.r); ok {
				kept[starter].r = r
				kept[starter].added += x.added - 1
				continue
			}
		}
		if x.class == 0 {
			starter = len(kept)
		}
		last = x.class
		kept = append(kept, x)
	}
	return kept
}

func composePair(a, b rune) (rune, bool) {
	two := string(a) + string(b)
	one := []rune(norm.NFC.String(two))
	return one[0], len(one) == 1
}
