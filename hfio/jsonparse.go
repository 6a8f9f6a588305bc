package hfio

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of JSON files. Real ones have less than ten levels; the longest index
// names some hundred thousand tensors.
const (
	maxJSONDepth  = 128
	maxJSONValues = 1 << 21
)

// parseJSON reads what Python's json.loads reads of a file: JSON, and the numbers
// NaN, Infinity and -Infinity, which configs of state-space models hold. (That is
// why no library parses it.) Of a repeated key the last value counts.
//
// A \ud800 that is half of a pair is kept, in the three bytes UTF-8 would give it,
// so that it is written again; see decodeRune.
func parseJSON(file string, data []byte) (jsonValue, error) {
	p := jsonParser{src: string(data)}
	if !utf8.ValidString(p.src) {
		return jsonValue{}, formatError(file, "not valid UTF-8")
	}
	v, err := p.value(0)
	if err == nil {
		p.blanks()
		if p.at < len(p.src) {
			err = p.problem("end of file")
		}
	}
	if err != nil {
		return jsonValue{}, fmt.Errorf("%s:%d: %w: %w", file, 1+strings.Count(p.src[:p.at], "\n"), ErrFormat, err)
	}
	return v, nil
}

// parseJSONObject is parseJSON for a file that must hold an object.
func parseJSONObject(file string, data []byte) (jsonValue, error) {
	v, err := parseJSON(file, data)
	if err == nil && v.kind != jsonObject {
		err = formatError(file, "found %s, want an object", v.describe())
	}
	return v, err
}

type jsonParser struct {
	src    string
	at     int
	values int
}

func (p *jsonParser) problem(want string) error {
	if p.at >= len(p.src) {
		return fmt.Errorf("found the end of the file, want %s", want)
	}
	r, _ := utf8.DecodeRuneInString(p.src[p.at:])
	return fmt.Errorf("found %q, want %s", r, want)
}

func (p *jsonParser) blanks() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

// take skips a text if it comes next.
func (p *jsonParser) take(text string) bool {
	if !strings.HasPrefix(p.src[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

func (p *jsonParser) value(depth int) (jsonValue, error) {
	if depth > maxJSONDepth {
		return jsonValue{}, fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
	}
	if p.values++; p.values > maxJSONValues {
		return jsonValue{}, fmt.Errorf("more than %d values", maxJSONValues)
	}
	p.blanks()
	switch {
	case p.take("{"):
		return p.object(depth)
	case p.take("["):
		return p.array(depth)
	case p.take(`"`):
		text, err := p.str()
		return jsonValue{kind: jsonString, text: text}, err
	case p.take("null"):
		return jsonValue{}, nil
	case p.take("true"):
		return jsonValue{kind: jsonBool, truth: true}, nil
	case p.take("false"):
		return jsonValue{kind: jsonBool}, nil
	}
	return p.number()
}

func (p *jsonParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	p.blanks()
	if p.take("]") {
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		p.blanks()
		if p.take("]") {
			return v, nil
		}
		if !p.take(",") {
			return v, p.problem(`"," or "]"`)
		}
	}
}

func (p *jsonParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	p.blanks()
	if p.take("}") {
		return v, nil
	}
	for {
		field, err := p.field(depth)
		if err != nil {
			return v, err
		}
		v.fields = append(v.fields, field)
		p.blanks()
		if p.take("}") {
			return v, nil
		}
		if !p.take(",") {
			return v, p.problem(`"," or "}"`)
		}
	}
}

func (p *jsonParser) field(depth int) (jsonField, error) {
	p.blanks()
	if !p.take(`"`) {
		return jsonField{}, p.problem("a key in quotes")
	}
	key, err := p.str()
	if err != nil {
		return jsonField{}, err
	}
	p.blanks()
	if !p.take(":") {
		return jsonField{}, p.problem(`":"`)
	}
	value, err := p.value(depth + 1)
	return jsonField{key, value}, err
}

func (p *jsonParser) number() (jsonValue, error) {
	start := p.at
	for _, name := range []string{"NaN", "Infinity", "-Infinity"} {
		if p.take(name) {
			return jsonValue{kind: jsonNumber, text: name}, nil
		}
	}
	p.take("-")
	if !p.take("0") && p.digits() == 0 {
		return jsonValue{}, p.problem("a value")
	}
	if p.take(".") && p.digits() == 0 {
		return jsonValue{}, p.problem("a digit")
	}
	if p.take("e") || p.take("E") {
		if !p.take("+") {
			p.take("-")
		}
		if p.digits() == 0 {
			return jsonValue{}, p.problem("a digit")
		}
	}
	return jsonValue{kind: jsonNumber, text: p.src[start:p.at]}, nil
}

func (p *jsonParser) digits() int {
	start := p.at
	for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

// str reads a string behind its opening quote.
func (p *jsonParser) str() (string, error) {
	var text strings.Builder
	start := p.at
	for p.at < len(p.src) {
		switch c := p.src[p.at]; {
		case c == '"':
			text.WriteString(p.src[start:p.at])
			p.at++
			return joinSurrogates(text.String()), nil
		case c < 0x20:
			return "", p.problem("a character of a string")
		case c != '\\':
			p.at++
		default:
			text.WriteString(p.src[start:p.at])
			p.at++
			if err := p.escape(&text); err != nil {
				return "", err
			}
			start = p.at
		}
	}
	return "", p.problem(`the closing "\""`)
}

// escape reads what follows a backslash.
func (p *jsonParser) escape(text *strings.Builder) error {
	if p.at >= len(p.src) {
		return p.problem("an escape")
	}
	const letters, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(letters, p.src[p.at]); i >= 0 {
		text.WriteByte(meanings[i])
		p.at++
		return nil
	}
	if p.src[p.at] != 'u' || p.at+5 > len(p.src) {
		return p.problem("an escape")
	}
	unit, err := strconv.ParseUint(p.src[p.at+1:p.at+5], 16, 16)
	if err != nil {
		return p.problem("four hexadecimal digits")
	}
	p.at += 5
	text.WriteString(encodeUnit(rune(unit)))
	return nil
}
