package tokenize

import "unicode/utf8"

// edit rewrites a text as NormalizedString::transform of the reference does: each new
// character says how many more characters there are with it than before. One that is
// added shares the place of what stands before it; another one takes the place of the next
// old character, and with it go as many more as it replaces. Where these numbers are wrong,
// as those of Precompiled can be, the places are wrong in the same way.
type edit struct {
	in, out *text
	at      int // the byte of in where the next old character begins
}

func (e *edit) put(r rune, added int) {
	if added > 0 {
		e.share(r, e.at-1)
		return
	}
	e.share(r, e.at)
	for range 1 - added {
		e.skip()
	}
}

// skip drops the next old character.
func (e *edit) skip() {
	_, size := utf8.DecodeRune(e.in.bytes[e.at:])
	e.at += size
}

// share appends r with the place of a byte of the old text, or of the nearest there is.
func (e *edit) share(r rune, at int) {
	at = min(max(at, 0), len(e.in.bytes)-1)
	e.out.put(r, e.in.from[at], e.in.to[at])
}
