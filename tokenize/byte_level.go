package tokenize

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// GPT-2 writes each byte of a text as a character that can be seen: the printable ones
// of Latin-1 stand for themselves, the others for those from U+0100 on.
// Source: openai/gpt-2, encoder.py, bytes_to_unicode.
var (
	byteCharacters [256]rune
	characterBytes = map[rune]byte{}
)

func init() {
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		byteCharacters[b], characterBytes[r] = r, byte(b)
	}
}

// byteLevel cuts words as GPT-2 does and writes their bytes as characters.
type byteLevel struct {
	prefixSpace bool // before a word that begins with none
	cut         bool
}

func readByteLevel(o *object) preTokenizer {
	o.raw("trim_offsets") // the post-processor's
	return byteLevel{prefixSpace: o.bool("add_prefix_space"), cut: o.optionalBool("use_regex", true)}
}

func (b byteLevel) preTokenize(t *text) {
	if b.prefixSpace {
		t.rewrite(func(to *text, w span) {
			if t.bytes[w.start] != ' ' {
				to.putByte(' ', t.from[w.start], t.to[w.start])
			}
			to.copyFrom(t, w)
		})
	}
	if b.cut {
		t.cut(gpt2Word)
	}
	t.rewrite(func(to *text, w span) {
		for i := w.start; i < w.end; i++ {
			to.put(byteCharacters[t.bytes[i]], t.from[i], t.to[i])
		}
	})
}

// rewrite replaces each word by what f appends to a new text.
func (t *text) rewrite(f func(to *text, w span)) {
	to := t.other
	if to == nil {
		to = new(text)
	}
	to.reset()
	for _, w := range t.words {
		start := int32(len(to.bytes))
		f(to, w)
		if end := int32(len(to.bytes)); end > start {
			to.words = append(to.words, span{start, end})
		}
	}
	*t, *to = *to, *t
	t.other, to.other = to, nil
}

func (t *text) copyFrom(from *text, w span) {
	t.bytes = append(t.bytes, from.bytes[w.start:w.end]...)
	t.from = append(t.from, from.from[w.start:w.end]...)
	t.to = append(t.to, from.to[w.start:w.end]...)
}

// cut cuts every word into what next finds one after the other: the length, at least 1,
// of the word at the beginning of a text.
func (t *text) cut(next func(s []byte) int) {
	words := t.spare[:0]
	for _, w := range t.words {
		for w.start < w.end {
			n := int32(next(t.bytes[w.start:w.end]))
			words = append(words, span{w.start, w.start + n})
			w.start += n
		}
	}
	t.words, t.spare = words, t.words
}

// gpt2Word is the pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Word(s []byte) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	at := 0
	if s[0] == ' ' {
		at = 1
	}
	for _, kind := range []func(rune) bool{isLetter, isNumber, isOther} {
		if n := run(s[at:], kind); n > 0 {
			return at + n
		}
	}
	return spaces(s)
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd; 0: there is none.
func contraction(s []byte, anyCase bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	letter := func(i int) rune {
		if i >= len(s) {
			return 0
		}
		r, _ := utf8.DecodeRune(s[i:])
		if anyCase && r == 'ſ' { // folds to s
			return 's'
		}
		if anyCase && r < utf8.RuneSelf {
			return unicode.ToLower(r)
		}
		return r
	}
	_, first := utf8.DecodeRune(s[1:])
	switch a, b := letter(1), letter(2); {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 1 + first
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

// spaces is \s+(?!\S)|\s+ : all white space at the beginning but for the last character,
// if something else follows and it is not the only one.
func spaces(s []byte) int {
	n := run(s, isWhite)
	if n == len(s) || n == 0 {
		return max(n, 1)
	}
	_, last := utf8.DecodeLastRune(s[:n])
	if n > last {
		return n - last
	}
	return n
}

// run is the length of the characters of a kind at the beginning.
func run(s []byte, kind func(rune) bool) int {
	at := 0
	for at < len(s) {
		r, size := utf8.DecodeRune(s[at:])
		if !kind(r) {
			break
		}
		at += size
	}
	return at
}

func isLetter(r rune) bool { return classOf(r)&classLetter != 0 }
func isNumber(r rune) bool { return classOf(r)&classNumber != 0 }
func isOther(r rune) bool  { return classOf(r)&(classWhite|classLetter|classNumber) == 0 }

// byteLevelDecoder turns characters back into bytes. Tokens that are not all such
// characters, as added ones may be, stay as they are.
type byteLevelDecoder struct{}

func readByteLevelDecoder(o *object) decoder {
	for _, field := range []string{"add_prefix_space", "trim_offsets", "use_regex"} {
		o.raw(field) // they count in the other stages
	}
	return byteLevelDecoder{}
}

func (byteLevelDecoder) decode(next sink) decoding { return &byteDecoding{fusing: fusing{next: next}} }

// byteDecoding makes one token of all.
type byteDecoding struct {
	whole
	fusing fusing
	bytes  []byte // that may begin a character
}

func (d *byteDecoding) add(c chunk) {
	token, ends := d.gather(c)
	if !ends {
		return
	}
	d.take(token)
	decided := decidedBytes(d.bytes)
	d.fusing.add(chunk{text: validUTF8(d.bytes[:decided])})
	d.bytes = append(d.bytes[:0], d.bytes[decided:]...)
}

func (d *byteDecoding) copy(next sink) decoding {
	return &byteDecoding{d.clone(), fusing{next, d.fusing.begun}, slices.Clone(d.bytes)}
}

func (d *byteDecoding) take(token string) {
	before := len(d.bytes)
	for _, r := range token {
		b, known := characterBytes[r]
		if !known {
			d.bytes = append(d.bytes[:before], token...)
			return
		}
		d.bytes = append(d.bytes, b)
	}
}

func (d *byteDecoding) end() {
	d.fusing.add(chunk{text: validUTF8(d.bytes)})
	d.fusing.end()
}

// decidedBytes is the length of s without the beginning of a character that may go on.
func decidedBytes(s []byte) int {
	for at := max(0, len(s)-utf8.UTFMax+1); at < len(s); at++ {
		if utf8.RuneStart(s[at]) && !utf8.FullRune(s[at:]) {
			return at
		}
	}
	return len(s)
}

// validUTF8 replaces each longest beginning of a character that does not go on, and each
// byte that begins none, by U+FFFD: what the Unicode standard recommends and Rust does.
func validUTF8(s []byte) string {
	if utf8.Valid(s) {
		return string(s)
	}
	var valid []byte
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 {
			size = brokenLength(s)
		}
		valid = utf8.AppendRune(valid, r)
		s = s[size:]
	}
	return string(valid)
}

// brokenLength is the length of the longest beginning of a character, at least 1.
func brokenLength(s []byte) int {
	low, high, length := byte(0x80), byte(0xbf), 0
	switch b := s[0]; {
	case 0xc2 <= b && b <= 0xdf:
		length = 2
	case 0xe0 <= b && b <= 0xef:
		length = 3
		if b == 0xe0 {
			low = 0xa0
		} else if b == 0xed {
			high = 0x9f
		}
	case 0xf0 <= b && b <= 0xf4:
		length = 4
		if b == 0xf0 {
			low = 0x90
		} else if b == 0xf4 {
			high = 0x8f
		}
	}
	n := 1
	for n < min(length, len(s)) && low <= s[n] && s[n] <= high {
		low, high = 0x80, 0xbf
		n++
	}
	return n
}
