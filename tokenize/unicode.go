package tokenize

import (
	"sync/atomic"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// runeRange is a range of characters, both ends included.
type runeRange [2]rune

// caseMapping is a character with its lower case.
type caseMapping struct {
	upper rune
	lower []rune
}

// class says what the reference does with a character.
type class uint16

const (
	classRemoved     class = 1 << iota // dropped by cleaning
	classSpace                         // made a space by cleaning
	classWhite                         // separates words
	classPunctuation                   // is a word of its own
	classHan                           // gets spaces around it
	classMark                          // dropped with the accents
	classReordered                     // decomposes, or moves under canonical ordering
	classUpper                         // has a lower case
	classLetter                        // \p{L} of patterns
	classNumber                        // \p{N} of patterns
	classCombining                     // dropped by StripAccents
	classCapital                       // \p{Lu} and \p{Lt} of patterns
	classSmall                         // \p{Ll} of patterns
	classAnyMark                       // \p{M} of patterns
)

// classes caches the class of each character in pages of 256, made when first asked for.
var classes [(unicode.MaxRune + 1) >> 8]atomic.Pointer[[256]class]

func classOf(r rune) class {
	page := classes[r>>8].Load()
	if page == nil {
		page = classPage(r &^ 0xff)
		classes[r>>8].Store(page)
	}
	return page[r&0xff]
}

func classPage(first rune) *[256]class {
	page := new([256]class)
	mark := func(c class, tables ...[]runeRange) {
		for _, table := range tables {
			for _, r := range table {
				for x := max(r[0], first); x <= min(r[1], first+0xff); x++ {
					page[x-first] |= c
				}
			}
		}
	}
	mark(classRemoved, removedCharacters)
	mark(classSpace, spaceCharacters)
	mark(classWhite, whiteSpace)
	mark(classPunctuation, punctuation)
	mark(classHan, hanCharacters)
	mark(classMark, nonspacingMarks)
	mark(classReordered, decomposable, combining)
	mark(classLetter, letters)
	mark(classNumber, numbers)
	mark(classCombining, marks)
	mark(classCapital, lateCapitals)
	mark(classSmall, lateSmalls)
	mark(classAnyMark, lateMarks)
	for i := range page {
		r := first + rune(i)
		if unicode.ToLower(r) != r {
			page[i] |= classUpper
		}
		switch {
		case unicode.IsUpper(r), unicode.IsTitle(r):
			page[i] |= classCapital
		case unicode.IsLower(r):
			page[i] |= classSmall
		case unicode.IsMark(r):
			page[i] |= classAnyMark
		}
	}
	for _, m := range lateLowercase {
		if m.upper&^0xff == first {
			page[m.upper-first] |= classUpper
		}
	}
	return page
}

func in(table []runeRange, r rune) bool {
	low, high := 0, len(table)
	for low < high {
		middle := (low + high) / 2
		switch {
		case r < table[middle][0]:
			high = middle
		case r > table[middle][1]:
			low = middle + 1
		default:
			return true
		}
	}
	return false
}

// appendLower appends the lower case of r, which can be two characters.
func appendLower(runes []rune, r rune) []rune {
	for _, m := range lateLowercase {
		if m.upper == r {
			return append(runes, m.lower...)
		}
	}
	return append(runes, unicode.ToLower(r))
}

// Hangul syllables decompose by arithmetic (Unicode Standard, section 3.12).
const (
	hangulFirst, hangulLast      = 0xac00, 0xd7a3
	jamoLead, jamoVowel, jamoEnd = 0x1100, 0x1161, 0x11a7
	jamoEnds                     = 28
	jamoVowelsAndEnds            = 21 * jamoEnds
)

// appendCompatible appends the full compatibility decomposition of r.
func appendCompatible(runes []rune, r rune) []rune {
	if in(compatible, r) {
		if d := norm.NFKD.PropertiesString(string(r)).Decomposition(); d != nil {
			return append(runes, []rune(string(d))...)
		}
	}
	return appendDecomposed(runes, r)
}

// appendDecomposed appends the full canonical decomposition of r.
func appendDecomposed(runes []rune, r rune) []rune {
	if hangulFirst <= r && r <= hangulLast {
		i := r - hangulFirst
		runes = append(runes, jamoLead+i/jamoVowelsAndEnds, jamoVowel+i%jamoVowelsAndEnds/jamoEnds)
		if end := i % jamoEnds; end > 0 {
			runes = append(runes, jamoEnd+end)
		}
		return runes
	}
	if in(decomposable, r) {
		if d := norm.NFD.PropertiesString(string(r)).Decomposition(); d != nil {
			return append(runes, []rune(string(d))...)
		}
	}
	return append(runes, r)
}

// combiningClass is the canonical combining class of r.
func combiningClass(r rune) uint8 {
	if r < combining[0][0] || !in(combining, r) {
		return 0
	}
	return norm.NFD.PropertiesString(string(r)).CCC()
}

// isWordCharacter tells what the added tokens' single_word takes for part of a word.
func isWordCharacter(r rune) bool { return in(wordCharacters, r) }

func isWhite(r rune) bool { return classOf(r)&classWhite != 0 }
