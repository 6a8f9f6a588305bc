package tokenize

import (
	"strings"
	"unicode/utf8"
)

// sequence runs pre-tokenisers one after the other.
type sequence []preTokenizer

func readSequence(o *object) preTokenizer {
	var s sequence
	for _, part := range o.list("pretokenizers") {
		if p := readKind(part, part.string("type"), preTokenizers); p != nil {
			s = append(s, p)
		}
	}
	return s
}

func (s sequence) preTokenize(t *text) {
	for _, p := range s {
		p.preTokenize(t)
	}
}

// digits cuts numbers from what is around them, or into their digits.
type digits struct{ individual bool }

func readDigits(o *object) preTokenizer { return digits{o.bool("individual_digits")} }

func (d digits) preTokenize(t *text) {
	t.cut(func(s []byte) int {
		if n := run(s, func(r rune) bool { return !isNumber(r) }); n > 0 {
			return n
		}
		if d.individual {
			_, size := utf8.DecodeRune(s)
			return size
		}
		return run(s, isNumber)
	})
}

// split cuts by a pattern that covers every text.
type split func(s []byte) int

// The patterns that are known, of Llama 3 and of Qwen, which differ in the digits of a number.
const (
	llama3Start = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	llama3End   = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var patterns = map[string]split{
	llama3Start + `\p{N}{1,3}` + llama3End: func(s []byte) int { return llama3Word(s, 3) },
	llama3Start + `\p{N}` + llama3End:      func(s []byte) int { return llama3Word(s, 1) },
	// Written by GPT-2's descendants instead of use_regex.
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: gpt2Word,
}

func readSplit(o *object) preTokenizer {
	name, pattern := "", ""
	if raw := newObject(o.at("pattern"), o.raw("pattern"), o.log); raw != nil {
		name, pattern = "Regex", raw.string("Regex")
		raw.done()
	}
	if behavior := o.string("behavior"); behavior != "Isolated" {
		o.wrong("behavior", quoted(behavior), `"Isolated"`)
	}
	if o.bool("invert") {
		o.wrong("invert", "true", "false")
	}
	known, ok := patterns[pattern]
	if !ok && name != "" {
		o.wrong("pattern", quoted(pattern), "a pattern of GPT-2, Llama 3 or Qwen")
	}
	return known
}

func (p split) preTokenize(t *text) { t.cut(p) }

// llama3Word is llama3Start, \p{N}{1,most}, llama3End.
func llama3Word(s []byte, most int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	r, first := utf8.DecodeRune(s)
	if n := run(s, isLetter); n > 0 {
		return n
	}
	if r != '\r' && r != '\n' && !isNumber(r) {
		if n := run(s[first:], isLetter); n > 0 {
			return first + n
		}
	}
	if isNumber(r) {
		at := first
		for count := 1; count < most && at < len(s); count++ {
			r, size := utf8.DecodeRune(s[at:])
			if !isNumber(r) {
				break
			}
			at += size
		}
		return at
	}
	at := 0
	if s[0] == ' ' {
		at = 1
	}
	if n := run(s[at:], isOther); n > 0 {
		return at + n + run(s[at+n:], isLineEnd)
	}
	// \s*[\r\n]+ takes the white space up to the last line end of it.
	white := s[:run(s, isWhite)]
	if end := strings.LastIndexAny(string(white), "\r\n"); end >= 0 {
		return end + 1
	}
	return spaces(s)
}

func isLineEnd(r rune) bool { return r == '\r' || r == '\n' }
