package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The engine treats white space around tags otherwise than Jinja does. So templates are
// cut here, by Jinja's rules with trim_blocks and lstrip_blocks, and the engine gets text as
// strings to put out, with nothing between the tags.
// Source: jinja2 3.1, lexer.py.

// segment is text, an expression to put out, or a statement.
type segment struct {
	kind   byte // 't', '{' or '%'
	text   string
	tokens []token
}

// token is a part of a tag.
type token struct {
	kind byte // 'n'ame, 's'tring, 'd'igits or 'o'perator
	text string
}

func (t token) is(kind byte, text string) bool { return t.kind == kind && t.text == text }

// cutSource returns the segments of a template.
func cutSource(source string) ([]segment, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	source = strings.TrimSuffix(source, "\n")
	var segments []segment
	lineStarts := true // what was taken last ends a line
	for at := 0; at < len(source); {
		open := nextTag(source, at)
		text := source[at:open]
		if open < len(source) {
			text = trimBefore(text, source[open:], lineStarts)
		}
		if text != "" {
			segments = append(segments, segment{kind: 't', text: text})
		}
		if open == len(source) {
			break
		}
		s, end, err := readTag(source, open)
		if err != nil {
			line := 1 + strings.Count(source[:open], "\n")
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if s.kind != '#' {
			segments = append(segments, s)
		}
		lineStarts, at = source[end-1] == '\n', end
	}
	return segments, nil
}

// nextTag is where the next tag begins, or the end.
func nextTag(source string, from int) int {
	for at := from; at+1 < len(source); at++ {
		if source[at] == '{' && strings.IndexByte("{%#", source[at+1]) >= 0 {
			return at
		}
	}
	return len(source)
}

// trimBefore takes from text the white space that a tag takes along: all before a minus, and
// that from the line's beginning on before a statement or comment.
func trimBefore(text, tag string, lineStarts bool) string {
	sign := byte(0)
	if len(tag) > 2 {
		sign = tag[2]
	}
	switch {
	case sign == '-':
		return strings.TrimRight(text, " \t\n\f\v")
	case sign == '+' || tag[1] == '{':
		return text
	}
	line := strings.LastIndexByte(text, '\n') + 1
	if (line > 0 || lineStarts) && strings.Trim(text[line:], " \t\f\v") == "" {
		return text[:line]
	}
	return text
}

// readTag reads the tag at open and returns where what follows begins.
func readTag(source string, open int) (s segment, end int, err error) {
	s.kind = source[open+1]
	at := open + 2
	if at < len(source) && strings.IndexByte("-+", source[at]) >= 0 && (s.kind != '{' || source[at] == '-') {
		at++
	}
	if s.kind == '#' {
		length := strings.Index(source[at:], "#}")
		if length < 0 {
			return s, 0, errors.New("a comment without an end")
		}
		at += length
	} else if s.tokens, at, err = readTokens(source, at, map[byte]string{'{': "}}", '%': "%}"}[s.kind]); err != nil {
		return s, 0, err
	}
	end = at + 2
	rest := source[end:]
	switch sign := source[at-1]; {
	case sign == '-' && at-1 > open+1:
		end = len(source) - len(strings.TrimLeft(rest, " \t\n\f\v"))
	case s.kind != '{' && sign != '+' && strings.HasPrefix(rest, "\n"):
		end++
	}
	return s, end, nil
}

// readTokens reads the tokens up to the closing mark, which the sign before it is no part of.
func readTokens(source string, at int, closing string) (tokens []token, end int, err error) {
	depth := 0
	for at < len(source) {
		rest := source[at:]
		switch c := source[at]; {
		case strings.IndexByte(" \t\n\f\v", c) >= 0:
			at++
		case depth == 0 && strings.HasPrefix(rest, closing):
			return tokens, at, nil
		case depth == 0 && (c == '-' || c == '+' && closing == "%}") && strings.HasPrefix(rest[1:], closing):
			return tokens, at + 1, nil
		case c == '\'' || c == '"':
			length := stringLength(rest)
			if length < 0 {
				return nil, 0, errors.New("a string without an end")
			}
			tokens = append(tokens, token{'s', unescape(rest[1 : length-1])})
			at += length
		case isWord(c):
			length, kind := wordLength(rest), byte('n')
			if c <= '9' {
				kind = 'd'
			}
			tokens = append(tokens, token{kind, rest[:length]})
			at += length
		default:
			length := 1
			if len(rest) > 1 && strings.Contains(" == != <= >= // ** ", " "+rest[:2]+" ") {
				length = 2
			}
			if strings.IndexByte("([{", c) >= 0 {
				depth++
			} else if strings.IndexByte(")]}", c) >= 0 {
				depth--
			}
			tokens = append(tokens, token{'o', rest[:length]})
			at += length
		}
	}
	return nil, 0, fmt.Errorf("a tag without its %s", closing)
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// wordLength is that of a name or number.
func wordLength(s string) int {
	n := 0
	for n < len(s) && (isWord(s[n]) || s[0] <= '9' && s[n] == '.' && n+1 < len(s) && '0' <= s[n+1] && s[n+1] <= '9') {
		n++
	}
	return n
}

// stringLength is that of a string with its quotes; -1: it has no end.
func stringLength(s string) int {
	for at := 1; at < len(s); at++ {
		switch s[at] {
		case '\\':
			at++
		case s[0]:
			return at + 1
		}
	}
	return -1
}

// unescape does what Python does with the escapes of a string.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = unescapeOne(&b, after)
	}
}

var escapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': "", '0': "\x00",
}

// unescapeOne writes the character whose escape s begins with, without the backslash, and returns the rest.
func unescapeOne(b *strings.Builder, s string) string {
	if s == "" {
		b.WriteByte('\\')
		return s
	}
	if text, known := escapes[s[0]]; known {
		b.WriteString(text)
		return s[1:]
	}
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]; digits > 0 && len(s) > digits {
		if code, err := strconv.ParseUint(s[1:1+digits], 16, 32); err == nil && code <= utf8.MaxRune {
			b.WriteRune(rune(code))
			return s[1+digits:]
		}
	}
	b.WriteByte('\\')
	return s
}

// joinSource writes segments for the engine.
func joinSource(segments []segment) string {
	var b strings.Builder
	for _, s := range segments {
		switch s.kind {
		case 't':
			b.WriteString("{{ " + quote(s.text) + " }}")
		case '{':
			b.WriteString("{{ (" + joinTokens(s.tokens) + " ) | " + ownPrefix + "string }}")
		default:
			b.WriteString("{%" + joinTokens(s.tokens) + " %}")
		}
	}
	return b.String()
}

func joinTokens(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		// No space where a name goes on: a.b, f(x).
		if i == 0 || !(t.is('o', ".") || tokens[i-1].is('o', ".") || tokens[i-1].kind == 'n' && t.is('o', "(")) {
			b.WriteByte(' ')
		}
		switch {
		case t.kind == 's':
			b.WriteString(quote(t.text))
			continue
		case i > 0 && tokens[i-1].is('o', "|") && ownFilters[t.text] != nil:
			b.WriteString(ownPrefix)
		}
		b.WriteString(t.text)
	}
	return b.String()
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
