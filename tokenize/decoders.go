package tokenize

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// decoderSequence runs decoders one after the other.
type decoderSequence []decoder

func readDecoderSequence(o *object) decoder {
	return decoderSequence(components(o, "decoders", decoders))
}

// decodings are those of a sequence.
type decodings []decoding

func (s decoderSequence) decode(next sink) decoding {
	if len(s) == 0 {
		return tokenMap(func(_ int, token string) string { return token }).decode(next)
	}
	all := make(decodings, len(s))
	for i := len(s) - 1; i >= 0; i-- {
		all[i] = s[i].decode(next)
		next = all[i].add
	}
	return all
}

func (d decodings) add(c chunk) { d[0].add(c) }

func (d decodings) end() {
	for _, one := range d {
		one.end()
	}
}

func (d decodings) copy(next sink) decoding {
	all := slices.Clone(d)
	for i := len(all) - 1; i >= 0; i-- {
		all[i] = all[i].copy(next)
		next = all[i].add
	}
	return all
}

// whole gathers the chunks of a token for a decoding that needs all of it.
type whole struct{ parts []byte }

// gather returns the token that a chunk ends, if it does.
func (w *whole) gather(c chunk) (token string, ends bool) {
	if c.begins && c.ends {
		return c.text, true
	}
	w.parts = append(w.parts, c.text...)
	if c.ends {
		token, w.parts = string(w.parts), nil
	}
	return token, c.ends
}

func (w whole) clone() whole { return whole{slices.Clone(w.parts)} }

// tokenMap makes a text of each token, given how many stand before it.
type tokenMap func(number int, token string) string

type mapping struct {
	whole
	text   tokenMap
	next   sink
	number int // of the next token
}

func (f tokenMap) decode(next sink) decoding { return &mapping{text: f, next: next} }

func (m *mapping) add(c chunk) {
	if token, ends := m.gather(c); ends {
		m.next(chunk{m.text(m.number, token), true, true})
		m.number++
	}
}

func (m *mapping) end() {}

func (m *mapping) copy(next sink) decoding { return &mapping{m.clone(), m.text, next, m.number} }

// spaced puts spaces between tokens.
var spaced = tokenMap(func(number int, token string) string {
	if number > 0 {
		return " " + token
	}
	return token
})

// readReplaceDecoder reads what replaces a pattern in each token.
func readReplaceDecoder(o *object) decoder {
	pattern, content := readFinder(o, replacePatterns), o.string("content")
	return tokenMap(func(_ int, token string) string {
		var b strings.Builder
		for len(token) > 0 {
			start, end := pattern([]byte(token))
			b.WriteString(token[:start])
			if start < end {
				b.WriteString(content)
			}
			token = token[end:]
		}
		return b.String()
	})
}

// fuse makes one token of all.
type fuse struct{}

func readFuse(*object) decoder { return fuse{} }

type fusing struct {
	next  sink
	begun bool
}

func (fuse) decode(next sink) decoding { return &fusing{next: next} }

func (f *fusing) add(c chunk) {
	f.next(chunk{text: c.text, begins: !f.begun})
	f.begun = true
}

func (f *fusing) end() { f.next(chunk{begins: !f.begun, ends: true}) }

func (f *fusing) copy(next sink) decoding { return &fusing{next, f.begun} }

// strip drops up to so many of a character at the ends of each token.
type strip struct {
	content     rune
	start, stop int
}

func readStripDecoder(o *object) decoder {
	return strip{content: o.character("content"), start: o.int("start"), stop: o.int("stop")}
}

type stripping struct {
	strip
	next sink
	left int // how many can still go at the start
	held int // how many of the last characters may be at the end
}

func (s strip) decode(next sink) decoding { return &stripping{strip: s, next: next} }

func (s *stripping) add(c chunk) {
	if c.begins {
		s.left, s.held = s.start, 0
	}
	text := c.text
	for s.left > 0 && text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if r != s.content {
			s.left = 0
			break
		}
		text, s.left = text[size:], s.left-1
	}
	text = strings.Repeat(string(s.content), s.held) + text
	kept := strings.TrimRightFunc(text, func(r rune) bool { return r == s.content })
	held := utf8.RuneCountInString(text[len(kept):])
	s.held = min(held, s.stop)
	text = kept + strings.Repeat(string(s.content), held-s.held)
	s.next(chunk{text, c.begins, c.ends})
}

func (s *stripping) end() {}

func (s *stripping) copy(next sink) decoding { return &stripping{s.strip, next, s.left, s.held} }

// byteFallback turns runs of tokens such as <0x41> into the text that their bytes are, or,
// where they are none, each into U+FFFD.
type byteFallback struct{}

func readByteFallback(*object) decoder { return byteFallback{} }

type fallingBack struct {
	whole
	next  sink
	bytes []byte
}

func (byteFallback) decode(next sink) decoding { return &fallingBack{next: next} }

func (f *fallingBack) add(c chunk) {
	token, ends := f.gather(c)
	if !ends {
		return
	}
	if b, ok := byteOf(token); ok {
		f.bytes = append(f.bytes, b)
		return
	}
	f.end()
	f.next(chunk{token, true, true})
}

func (f *fallingBack) copy(next sink) decoding {
	return &fallingBack{f.clone(), next, slices.Clone(f.bytes)}
}

// end gives on the bytes that wait.
func (f *fallingBack) end() {
	if len(f.bytes) == 0 {
		return
	}
	texts := []string{string(f.bytes)}
	if !utf8.Valid(f.bytes) {
		texts = strings.SplitAfter(strings.Repeat("\ufffd", len(f.bytes)), "\ufffd")[:len(f.bytes)]
	}
	for _, text := range texts {
		f.next(chunk{text, true, true})
	}
	f.bytes = f.bytes[:0]
}

// byteOf reads a token such as <0x41>.
func byteOf(token string) (byte, bool) {
	if len(token) != len("<0x41>") || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := hex.DecodeString(token[3:5])
	if err != nil {
		return 0, false
	}
	return b[0], true
}
