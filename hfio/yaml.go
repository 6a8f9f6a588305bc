package hfio

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// appendYAMLString writes a string as PyYAML's emitter does for a value in a block
// (allow_unicode, width 80): plain where that reads back as the same string, else
// in single quotes, else in double ones. column is where the value starts.
// Source: PyYAML 6, emitter.py (analyze_scalar) and resolver.py.
func appendYAMLString(dst []byte, s string, column int) []byte {
	switch {
	case strings.ContainsFunc(s, yamlNeedsEscape):
		return appendYAMLDouble(dst, s)
	case yamlPlain(s):
		return appendYAMLFolded(dst, s, column, false)
	}
	dst = append(dst, '\'')
	dst = appendYAMLFolded(dst, s, column+1, true)
	return append(dst, '\'')
}

// yamlNeedsEscape tells whether a character is only allowed in double quotes. Line
// breaks are counted in, which PyYAML folds.
func yamlNeedsEscape(r rune) bool {
	switch {
	case r >= 0x20 && r <= 0x7e:
		return false
	case r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff:
		return true
	}
	return r < 0xa0
}

// yamlNotString matches what YAML 1.1 takes for something else than a string: null,
// truth values, numbers, dates, and the signs of merging and default values.
var yamlNotString = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`|~|null|Null|NULL|<<|=`,
	`yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF`,
	`[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+`,
	`[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?`,
	`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)`,
	`\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?`,
}, "|") + `)$`)

// yamlPlain tells whether a string can stand without quotes.
func yamlPlain(s string) bool {
	if yamlNotString.MatchString(s) || strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") {
		return false
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' || strings.IndexByte("#,[]{}&*!|>'\"%@`", s[0]) >= 0 {
		return false
	}
	if strings.IndexByte("-?:", s[0]) >= 0 && (len(s) == 1 || s[1] == ' ') {
		return false
	}
	return !strings.Contains(s, ": ") && !strings.HasSuffix(s, ":") && !strings.Contains(s, " #")
}

// appendYAMLFolded writes the words of a string and breaks the line at a single
// space once it is longer than 80 characters.
func appendYAMLFolded(dst []byte, s string, column int, quoted bool) []byte {
	for i := 0; i < len(s); {
		end := i
		if s[i] == ' ' {
			for end < len(s) && s[end] == ' ' {
				end++
			}
			inside := i > 0 && end < len(s)
			if end == i+1 && column > 80 && inside {
				dst, column, i = append(dst, "\n  "...), 2, end
				continue
			}
		} else {
			for end < len(s) && s[end] != ' ' {
				end++
			}
		}
		word := s[i:end]
		if quoted {
			word = strings.ReplaceAll(word, "'", "''")
		}
		dst, column, i = append(dst, word...), column+utf8.RuneCountInString(word), end
	}
	return dst
}

func appendYAMLDouble(dst []byte, s string) []byte {
	const names, letters = "\x00\a\b\t\n\v\f\r\x1b\"\\\u0085", "0abtnvfre\"\\N"
	dst = append(dst, '"')
	for _, r := range s {
		switch at := strings.IndexRune(names, r); {
		case at >= 0:
			dst = append(dst, '\\', letters[min(at, len(letters)-1)])
		case r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', "LP"[r-0x2028])
		case !yamlNeedsEscape(r):
			dst = utf8.AppendRune(dst, r)
		case r <= 0xff:
			dst = fmt.Appendf(dst, `\x%02X`, r)
		default:
			dst = fmt.Appendf(dst, `\u%04X`, r)
		}
	}
	return append(dst, '"')
}
