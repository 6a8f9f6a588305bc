package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// jsonFilter is json.dumps without ensure_ascii.
func jsonFilter(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
	space, line := "", ""
	if indent, ok := named["indent"]; ok && indent.IsInt() {
		space, line = strings.Repeat(" ", int(min(max(indent.AsInt(), 0), 80))), "\n"
	}
	text, err := jsonText(args[0], space, line)
	return jinja.NewString(text), err
}

// jsonText is the JSON of a value whose lines begin with line, where it has several, and those of
// what is in it with a space more.
func jsonText(v jinja.Value, space, line string) (string, error) {
	inner := line
	if line != "" {
		inner += space
	}
	var parts []string
	switch {
	case v.IsNone():
		return "null", nil
	case v.IsBool():
		return strconv.FormatBool(v.AsBool()), nil
	case v.IsNumber():
		return v.String(), nil
	case v.IsString():
		return jsonString(v.AsString()), nil
	case v.IsList():
		for _, item := range v.AsList().Items {
			text, err := jsonText(item, space, inner)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
		}
		return enclose("[", "]", parts, inner, line), nil
	case v.IsDict():
		for _, key := range v.AsDict().OrderedKeys() {
			value, _ := v.AsDict().Get(key)
			text, err := jsonText(value, space, inner)
			if err != nil {
				return "", err
			}
			parts = append(parts, jsonString(key)+": "+text)
		}
		return enclose("{", "}", parts, inner, line), nil
	}
	return "", errors.New("tojson: what is undefined has no JSON")
}

// enclose puts parts on one line, or each on its own.
func enclose(open, end string, parts []string, inner, line string) string {
	switch {
	case len(parts) == 0:
		return open + end
	case line == "":
		return open + strings.Join(parts, ", ") + end
	}
	return open + inner + strings.Join(parts, ","+inner) + line + end
}

// jsonString escapes what JSON wants escaped, and no more.
func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		short := strings.IndexRune("\"\\\n\r\t\f\b", r)
		switch {
		case short >= 0:
			b.WriteString(`\` + `"\nrtfb`[short:][:1])
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
