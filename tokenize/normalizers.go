package tokenize

import (
	"strings"
	"unicode/utf8"
)

// normalizerSequence runs normalisers one after the other.
type normalizerSequence []normalizer

func readNormalizerSequence(o *object) normalizer {
	return normalizerSequence(components(o, "normalizers", normalizers))
}

func (s normalizerSequence) normalize(in, out *text) {
	if len(s) == 0 {
		out.copyFrom(in, span{0, int32(len(in.bytes))})
	}
	for i, n := range s {
		if i > 0 {
			*in, *out = *out, *in
			out.reset()
		}
		n.normalize(in, out)
	}
}

// eachCharacter normalises characters one by one: it appends what becomes of r, in the
// place of r, to the empty runes.
type eachCharacter func(runes []rune, r rune) []rune

func (f eachCharacter) normalize(in, out *text) {
	var buffer [4]rune
	for at, r := range string(in.bytes) {
		for _, x := range f(buffer[:0], r) {
			out.put(x, in.from[at], in.to[at])
		}
	}
}

func readLowercase(*object) normalizer { return eachCharacter(appendLower) }

func readStripAccents(*object) normalizer {
	return eachCharacter(func(runes []rune, r rune) []rune {
		if classOf(r)&classCombining != 0 {
			return runes
		}
		return append(runes, r)
	})
}

// readNmt reads the rules of sentencepiece's nmt_nfkc that are no Unicode form.
// Source: tokenizers 0.23, normalizers/unicode.rs.
func readNmt(*object) normalizer {
	return eachCharacter(func(runes []rune, r rune) []rune {
		switch {
		case 0x1 <= r && r <= 0x8, r == 0xb, 0xe <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return runes
		case r == 0x9, r == 0xa, r == 0xc, r == 0xd, r == 0x1680, 0x200b <= r && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return append(runes, ' ')
		}
		return append(runes, r)
	})
}

// stripWhite drops white space at the ends.
type stripWhite struct{ left, right bool }

func readStrip(o *object) normalizer {
	return stripWhite{left: o.bool("strip_left"), right: o.bool("strip_right")}
}

func (n stripWhite) normalize(in, out *text) {
	s, start := string(in.bytes), 0
	if n.left {
		start = len(s) - len(strings.TrimLeftFunc(s, isWhite))
	}
	end := len(s)
	if n.right {
		end = max(start, len(strings.TrimRightFunc(s, isWhite)))
	}
	out.copyFrom(in, span{int32(start), int32(end)})
}

// prepend puts a string before a text that is not empty.
type prepend string

func readPrepend(o *object) normalizer {
	p := prepend(o.string("prepend"))
	if p == "" {
		o.wrong("prepend", `""`, "a text to put there")
	}
	return p
}

func (p prepend) normalize(in, out *text) {
	if len(in.bytes) > 0 {
		out.putString(string(p), in.from[0], in.to[0])
		out.copyFrom(in, span{0, int32(len(in.bytes))})
	}
}

// replace puts content in the place of what a pattern finds.
type replace struct {
	pattern finder
	content string
}

func readReplace(o *object) normalizer {
	return replace{pattern: readFinder(o, replacePatterns), content: o.string("content")}
}

// replacePatterns are the regular expressions that are known.
var replacePatterns = map[string]finder{
	` {2,}`: func(s []byte) (int, int) {
		for at, done := 0, 0; ; at = done {
			for at < len(s) && s[at] != ' ' {
				at++
			}
			for done = at; done < len(s) && s[done] == ' '; {
				done++
			}
			if done-at != 1 {
				return at, done
			}
		}
	},
	`\s{2,}|[\n\r\t]`: func(s []byte) (int, int) {
		for at := 0; at < len(s); {
			r, size := utf8.DecodeRune(s[at:])
			if end := at + run(s[at:], isWhite); end > at+size || r == '\n' || r == '\r' || r == '\t' {
				return at, end
			}
			at += size
		}
		return len(s), len(s)
	},
	`\s+`: func(s []byte) (int, int) {
		at := run(s, func(r rune) bool { return !isWhite(r) })
		return at, at + run(s[at:], isWhite)
	},
}

func (n replace) normalize(in, out *text) {
	done := int32(0)
	for {
		start, end := n.pattern(in.bytes[done:])
		out.copyFrom(in, span{done, done + int32(start)})
		if start == end {
			return
		}
		done += int32(end)
		// All of it has the place of the last character that it replaces.
		out.putString(n.content, in.from[done-1], in.to[done-1])
	}
}

// readByteLevelNormalizer writes bytes as characters, as the pre-tokeniser of this name does.
func readByteLevelNormalizer(*object) normalizer {
	return eachCharacter(func(runes []rune, r rune) []rune {
		var buffer [utf8.UTFMax]byte
		for _, b := range utf8.AppendRune(buffer[:0], r) {
			runes = append(runes, byteCharacters[b])
		}
		return runes
	})
}
