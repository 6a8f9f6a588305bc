package tokenize

import (
	"slices"
	"unicode/utf8"
)

// bertNormalizer cleans, sets Han characters apart, strips accents and lowers
// the case, as the original BERT does.
type bertNormalizer struct {
	cleanText          bool
	handleChineseChars bool
	stripAccents       bool
	lowercase          bool
	ascii              [utf8.RuneSelf]byte // what an ASCII character becomes; noByte: nothing
}

const noByte = 0xff

func readBertNormalizer(o *object) normalizer {
	clean, han, lower := o.bool("clean_text"), o.bool("handle_chinese_chars"), o.bool("lowercase")
	// null means: as the case, which is what the original BERT did.
	strip := o.optionalBool("strip_accents", lower)
	return newBertNormalizer(clean, han, strip, lower)
}

func newBertNormalizer(clean, han, strip, lower bool) *bertNormalizer {
	n := &bertNormalizer{cleanText: clean, handleChineseChars: han, stripAccents: strip, lowercase: lower}
	for i := range n.ascii {
		c := classOf(rune(i))
		switch {
		case clean && c&classRemoved != 0:
			n.ascii[i] = noByte
		case clean && c&classSpace != 0:
			n.ascii[i] = ' '
		case lower && 'A' <= i && i <= 'Z':
			n.ascii[i] = byte(i) + 'a' - 'A'
		default:
			n.ascii[i] = byte(i)
		}
	}
	return n
}

func (n *bertNormalizer) normalize(in, out *text) {
	var marks markRun
	for i := 0; i < len(in.bytes); {
		from, to := in.from[i], in.to[i]
		if b := in.bytes[i]; b < utf8.RuneSelf {
			i++
			if b = n.ascii[b]; b != noByte {
				n.flush(&marks, out)
				out.putByte(b, from, to)
			}
			continue
		}
		r, size := utf8.DecodeRune(in.bytes[i:])
		i += size
		n.character(r, from, to, &marks, out)
	}
	n.flush(&marks, out)
}

// character normalises one character outside ASCII.
func (n *bertNormalizer) character(r rune, from, to int32, marks *markRun, out *text) {
	c := classOf(r)
	if n.cleanText {
		if c&classRemoved != 0 {
			return
		}
		if c&classSpace != 0 {
			n.flush(marks, out)
			out.putByte(' ', from, to)
			return
		}
	}
	apart := n.handleChineseChars && c&classHan != 0
	if apart {
		n.flush(marks, out)
		out.putByte(' ', from, to)
	}
	switch {
	case !n.stripAccents:
		n.put(r, c, from, to, out)
	case c&classReordered != 0:
		n.decompose(r, from, to, marks, out)
	default:
		n.flush(marks, out)
		if c&classMark == 0 {
			n.put(r, c, from, to, out)
		}
	}
	if apart {
		n.flush(marks, out)
		out.putByte(' ', from, to)
	}
}

// put appends r in its final case.
func (n *bertNormalizer) put(r rune, c class, from, to int32, out *text) {
	if !n.lowercase || c&classUpper == 0 {
		out.put(r, from, to)
		return
	}
	var buffer [2]rune
	for _, lower := range appendLower(buffer[:0], r) {
		out.put(lower, from, to)
	}
}

// decompose appends the starters of r's decomposition and leaves its marks to the next flush.
func (n *bertNormalizer) decompose(r rune, from, to int32, marks *markRun, out *text) {
	var buffer [4]rune
	for i, d := range appendDecomposed(buffer[:0], r) {
		class := combiningClass(d)
		if class != 0 {
			marks.add(mark{d, class, i == 0}, from, to)
			continue
		}
		n.flush(marks, out)
		if c := classOf(d); c&classMark == 0 {
			n.put(d, c, from, to, out)
		}
		marks.from, marks.to = from, to
	}
}

// markRun is a run of combining marks that waits for canonical ordering.
type markRun struct {
	marks    []mark
	sources  []source // the original places of the marks that begin a character
	from, to int32    // the original place of the character whose decomposition the run continues
}

type mark struct {
	r     rune
	class uint8
	first bool // begins the decomposition of a character
}

type source struct{ from, to int32 }

func (m *markRun) add(x mark, from, to int32) {
	m.marks = append(m.marks, x)
	if x.first {
		m.sources = append(m.sources, source{from, to})
	}
}

// flush appends the waiting marks that are kept, in canonical order. Like the
// reference it deals out the original places in their old order, whatever the new
// order of the marks is: a mark that begins a character takes the next place,
// another one shares the place before it.
func (n *bertNormalizer) flush(m *markRun, out *text) {
	if len(m.marks) == 0 {
		return
	}
	slices.SortStableFunc(m.marks, func(a, b mark) int { return int(a.class) - int(b.class) })
	next, place := 0, source{m.from, m.to}
	for _, x := range m.marks {
		if x.first {
			place = m.sources[next]
			next++
		}
		if c := classOf(x.r); c&classMark == 0 {
			n.put(x.r, c, place.from, place.to, out)
		}
	}
	m.marks, m.sources = m.marks[:0], m.sources[:0]
}
