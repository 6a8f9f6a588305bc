package tokenize

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// sequence runs pre-tokenisers one after the other.
type sequence []preTokenizer

func readSequence(o *object) preTokenizer {
	return sequence(components(o, "pretokenizers", preTokenizers))
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

// split cuts a text at what a pattern finds in it.
type split struct {
	find     finder
	invert   bool // the pattern finds what is between
	behavior behavior
}

// behavior says what becomes of a match. A part, which is a match or not, is dropped, or
// joined to the part before it, which is a match or not, or stands alone.
type behavior struct {
	drops bool // the matches
	joins func(match, before bool) bool
}

var behaviors = map[string]behavior{
	"Removed":            {drops: true},
	"Isolated":           {},
	"MergedWithPrevious": {joins: func(match, before bool) bool { return match && !before }},
	"MergedWithNext":     {joins: func(match, before bool) bool { return !match && before }},
	"Contiguous":         {joins: func(match, before bool) bool { return match == before }},
}

// The patterns that are known, of Llama 3 and of Qwen, which differ in the digits of a number.
const (
	llama3Start = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	llama3End   = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// The patterns of GPT-4o, which Phi-4-mini has too, and of Mistral's Tekken: words begin anew at capitals.
const (
	casedSmalls   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	casedCapitals = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	contractions  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
	casedEnd      = `| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	gpt4oPattern  = casedSmalls + contractions + `|` + casedCapitals + contractions + `|\p{N}{1,3}` + casedEnd
	tekkenPattern = casedSmalls + `|` + casedCapitals + `|\p{N}` + casedEnd
)

var splitPatterns = map[string]finder{
	llama3Start + `\p{N}{1,3}` + llama3End: covering(func(s []byte) int { return llama3Word(s, 3) }),
	llama3Start + `\p{N}` + llama3End:      covering(func(s []byte) int { return llama3Word(s, 1) }),
	gpt4oPattern:                           covering(func(s []byte) int { return casedWord(s, 3, true) }),
	tekkenPattern:                          covering(func(s []byte) int { return casedWord(s, 1, false) }),
	// BLOOM's: what follows each other without white space and punctuation, with the space before it.
	` ?[^(\s|[.,!?…。，、।۔،])]+`: func(s []byte) (int, int) {
		at := run(s, func(r rune) bool { return !isBloomLetter(r) })
		end := at + run(s[at:], isBloomLetter)
		if 0 < at && at < len(s) && s[at-1] == ' ' {
			at--
		}
		return at, end
	},
	// Written by GPT-2's descendants instead of use_regex.
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: covering(gpt2Word),
}

func isBloomLetter(r rune) bool {
	return !isWhite(r) && !strings.ContainsRune("(|.,!?…。，、।۔،)", r)
}

func readSplit(o *object) preTokenizer {
	return split{find: readFinder(o, splitPatterns), invert: o.bool("invert"), behavior: readBehavior(o)}
}

func readBehavior(o *object) behavior {
	name := o.string("behavior")
	found, ok := behaviors[name]
	if !ok {
		o.wrong("behavior", quoted(name), "one of "+strings.Join(slices.Sorted(maps.Keys(behaviors)), ", "))
	}
	return found
}

func readWhitespaceSplit(*object) preTokenizer {
	return split{find: findCharacter(isWhite), behavior: behaviors["Removed"]}
}

func readPunctuation(o *object) preTokenizer {
	p := split{find: findCharacter(isPunctuation), behavior: behaviors["Isolated"]}
	if o.has("behavior") {
		p.behavior = readBehavior(o)
	}
	return p
}

func isPunctuation(r rune) bool { return classOf(r)&classPunctuation != 0 }

func (p split) preTokenize(t *text) {
	words := t.spare[:0]
	for _, w := range t.words {
		words = p.cut(words, t.bytes, w)
	}
	t.words, t.spare = words, t.words
}

// cut appends the parts of w.
func (p split) cut(words []span, bytes []byte, w span) []span {
	first, before := len(words), false
	add := func(part span, match bool) {
		if part.start == part.end {
			return
		}
		switch {
		case match && p.behavior.drops:
		case len(words) > first && p.behavior.joins != nil && p.behavior.joins(match, before):
			words[len(words)-1].end = part.end
		default:
			words = append(words, part)
		}
		before = match
	}
	for w.start < w.end {
		from, to := p.find(bytes[w.start:w.end])
		start, end := w.start+int32(from), w.start+int32(to)
		add(span{w.start, start}, p.invert)
		add(span{start, end}, !p.invert)
		w.start = end
	}
	return words
}

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
	return wordOfRest(s, most, isLineEnd)
}

// wordOfRest is \p{N}{1,most}| ?[^\s\p{L}\p{N}]+[follows]*|\s*[\r\n]+|\s+(?!\S)|\s+ .
func wordOfRest(s []byte, most int, follows func(rune) bool) int {
	at := 0
	for count := 0; count < most && at < len(s); count++ {
		r, size := utf8.DecodeRune(s[at:])
		if !isNumber(r) {
			break
		}
		at += size
	}
	if at > 0 {
		return at
	}
	if s[0] == ' ' {
		at = 1
	}
	if n := run(s[at:], isOther); n > 0 {
		return at + n + run(s[at+n:], follows)
	}
	// \s*[\r\n]+ takes the white space up to the last line end of it.
	white := s[:run(s, isWhite)]
	if end := strings.LastIndexAny(string(white), "\r\n"); end >= 0 {
		return end + 1
	}
	return spaces(s)
}

// casedWord is tekkenPattern with \p{N}{1,most}, or gpt4oPattern where words take contractions along.
func casedWord(s []byte, most int, contracted bool) int {
	starts := []int{0}
	if r, first := utf8.DecodeRune(s); r != '\r' && r != '\n' && !isLetter(r) && !isNumber(r) {
		starts = []int{first, 0} // the optional character is there, if that will do
	}
	for _, word := range []func([]byte) int{wordOfSmalls, wordOfCapitals} {
		for _, start := range starts {
			n := word(s[start:])
			if n == 0 {
				continue
			}
			if contracted {
				n += contraction(s[start+n:], true)
			}
			return start + n
		}
	}
	return wordOfRest(s, most, func(r rune) bool { return isLineEnd(r) || r == '/' })
}

// wordOfSmalls is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ ; 0: there is none.
func wordOfSmalls(s []byte) int {
	end := run(s, isNoSmall)
	if n := run(s[end:], isNoCapital); n > 0 {
		return end + n
	}
	// The first run gives back up to its last character that can be one of the second.
	for end > 0 {
		r, size := utf8.DecodeLastRune(s[:end])
		if isNoCapital(r) {
			return end
		}
		end -= size
	}
	return 0
}

// wordOfCapitals is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]* ; 0: there is none.
func wordOfCapitals(s []byte) int {
	n := run(s, isNoSmall)
	if n > 0 {
		n += run(s[n:], isNoCapital)
	}
	return n
}

func isNoSmall(r rune) bool {
	c := classOf(r)
	return c&classAnyMark != 0 || c&classLetter != 0 && c&classSmall == 0
}

func isNoCapital(r rune) bool {
	c := classOf(r)
	return c&classAnyMark != 0 || c&classLetter != 0 && c&classCapital == 0
}

func isLineEnd(r rune) bool { return r == '\r' || r == '\n' }
