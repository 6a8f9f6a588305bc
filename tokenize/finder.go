package tokenize

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// finder returns the first place in s, which is not empty, of what it looks for; an
// empty place at the end of s stands for none.
type finder func(s []byte) (start, end int)

// findString looks for a text that is not empty.
func findString(pattern string) finder {
	sought := []byte(pattern)
	return func(s []byte) (int, int) {
		if at := bytes.Index(s, sought); at >= 0 {
			return at, at + len(sought)
		}
		return len(s), len(s)
	}
}

// findCharacter looks for one character of a kind.
func findCharacter(kind func(rune) bool) finder {
	return func(s []byte) (int, int) {
		at := bytes.IndexFunc(s, kind)
		if at < 0 {
			return len(s), len(s)
		}
		_, size := utf8.DecodeRune(s[at:])
		return at, at + size
	}
}

// covering looks for what next finds at the beginning of every text: its length, at least 1.
func covering(next func(s []byte) int) finder {
	return func(s []byte) (int, int) { return 0, next(s) }
}

// readFinder reads the field pattern: {"String": "x"}, or {"Regex": "x"} where x is known.
func readFinder(o *object, known map[string]finder) finder {
	raw := newObject(o.at("pattern"), o.raw("pattern"), o.log)
	if raw == nil {
		return nil
	}
	defer raw.done()
	if raw.has("String") {
		pattern := raw.string("String")
		if pattern == "" {
			raw.wrong("String", `""`, "a text to look for")
		}
		return findString(pattern)
	}
	pattern := raw.string("Regex")
	found, ok := known[pattern]
	if !ok {
		names := slices.Sorted(maps.Keys(known))
		raw.wrong("Regex", quoted(pattern), "one of the known patterns "+strings.Join(names, " and "))
	}
	return found
}
