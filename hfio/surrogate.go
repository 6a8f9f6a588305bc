package hfio

import (
	"strings"
	"unicode/utf8"
)

// JSON written by Python may hold half of a UTF-16 pair (\ud800), which UTF-8 has
// no place for. Such a half is kept as the three bytes that UTF-8 would give it
// (the WTF-8 form), so that it can be written again.

// encodeUnit returns the bytes of a code point below 0x10000, halves included.
func encodeUnit(r rune) string {
	if isHalf(r) {
		return string([]byte{0xe0 | byte(r>>12), 0x80 | byte(r>>6)&0x3f, 0x80 | byte(r)&0x3f})
	}
	return string(r)
}

// decodeRune reads a code point or a half. The string must not be empty.
func decodeRune(s string) (r rune, size int) {
	if half, ok := leadingHalf(s); ok {
		return half, 3
	}
	return utf8.DecodeRuneInString(s)
}

func isHalf(r rune) bool { return r >= 0xd800 && r <= 0xdfff }

func leadingHalf(s string) (rune, bool) {
	if len(s) < 3 || s[0] != 0xed || s[1] < 0xa0 || s[1] > 0xbf || s[2] < 0x80 || s[2] > 0xbf {
		return 0, false
	}
	return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), true
}

// joinSurrogates replaces each high half followed by a low one by the character
// that the two mean.
func joinSurrogates(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var joined strings.Builder
	for len(s) > 0 {
		high, ok := leadingHalf(s)
		if ok && high < 0xdc00 {
			if low, ok := leadingHalf(s[3:]); ok && low >= 0xdc00 {
				joined.WriteRune(0x10000 + (high-0xd800)<<10 + low - 0xdc00)
				s = s[6:]
				continue
			}
		}
		_, size := decodeRune(s)
		joined.WriteString(s[:size])
		s = s[size:]
	}
	return joined.String()
}
