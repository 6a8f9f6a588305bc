package chat

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/ardanlabs/jinja"
)

// ownPrefix is put before the names of ownFilters. The engine looks for a filter that it does
// not know among the variables, which is where Render puts them.
const ownPrefix = "own_"

// ownFilters are those that the engine has otherwise than Jinja, and the one that makes text of
// what is put out.
// Source: jinja2 3.1, filters.py; transformers 5.23, utils/chat_template_utils.py, tojson.
var ownFilters = map[string]func(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error){
	"first": func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		return itemAt(args[0], false), nil
	},
	"last": func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		return itemAt(args[0], true), nil
	},
	"round":  roundFilter,
	"string": stringFilter,
	"tojson": jsonFilter,
	"unique": uniqueFilter,
}

// items are what Python's iter goes through: characters, items or keys.
func items(v jinja.Value) []jinja.Value {
	var all []jinja.Value
	switch {
	case v.IsList():
		return v.AsList().Items
	case v.IsDict():
		for _, key := range v.AsDict().OrderedKeys() {
			all = append(all, jinja.NewString(key))
		}
	case v.IsString():
		for _, r := range v.AsString() {
			all = append(all, jinja.NewString(string(r)))
		}
	}
	return all
}

// itemAt returns the first or the last item, undefined where there is none.
func itemAt(v jinja.Value, last bool) jinja.Value {
	all := items(v)
	switch {
	case len(all) == 0:
		return jinja.Undefined()
	case last:
		return all[len(all)-1]
	}
	return all[0]
}

// argument is that of a place or of a name; standard where it is not given.
func argument(args []jinja.Value, named map[string]jinja.Value, place int, name string, standard jinja.Value) jinja.Value {
	if value, ok := named[name]; ok {
		return value
	}
	if place < len(args) {
		return args[place]
	}
	return standard
}

// roundFilter rounds to the nearest, of two as near to the even one.
func roundFilter(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
	value := args[0]
	precision := argument(args, named, 1, "precision", jinja.NewInt(0))
	method := argument(args, named, 2, "method", jinja.NewString("common"))
	if !value.IsNumber() || !precision.IsInt() || precision.AsInt() < 0 || precision.AsInt() > 300 || !method.IsString() {
		return value, errors.New("round: want a number, decimals from 0 to 300, and a method")
	}
	if value.IsInt() && method.AsString() == "common" {
		return value, nil
	}
	x, decimals := float(value), int(precision.AsInt())
	power := math.Pow10(decimals)
	switch method.AsString() {
	case "common":
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', decimals, 64), 64)
		return jinja.NewFloat(rounded), err
	case "ceil":
		return jinja.NewFloat(math.Ceil(x*power) / power), nil
	case "floor":
		return jinja.NewFloat(math.Floor(x*power) / power), nil
	}
	return value, errors.New("method must be common, ceil or floor")
}

func float(v jinja.Value) float64 {
	if v.IsInt() {
		return float64(v.AsInt())
	}
	return v.AsFloat()
}

// uniqueFilter takes letters of both cases for one, and numbers and booleans of one value.
func uniqueFilter(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	seen := map[any]bool{}
	var kept []jinja.Value
	for _, v := range items(args[0]) {
		var key any
		switch {
		case v.IsString():
			key = strings.ToLower(v.AsString())
		case v.IsNumber():
			key = float(v)
		case v.IsBool():
			key = map[bool]float64{true: 1}[v.AsBool()]
		default:
			key = [1]string{represent(v)} // no string's key
		}
		if !seen[key] {
			seen[key], kept = true, append(kept, v)
		}
	}
	return jinja.NewList(kept), nil
}

// stringFilter is Python's str.
func stringFilter(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	switch v := args[0]; {
	case v.IsString():
		return v, nil
	case v.IsUndefined(), v.IsCallable():
		return jinja.NewString(""), nil
	default:
		return jinja.NewString(represent(v)), nil
	}
}

// represent is Python's repr, but for numbers: the engine has floats where Python has integers.
func represent(v jinja.Value) string {
	var parts []string
	switch {
	case v.IsString():
		return pythonString(v.AsString())
	case v.IsList():
		for _, item := range v.AsList().Items {
			parts = append(parts, represent(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.IsDict():
		for _, key := range v.AsDict().OrderedKeys() {
			value, _ := v.AsDict().Get(key)
			parts = append(parts, pythonString(key)+": "+represent(value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return v.String()
}

// pythonString is Python's repr of a text.
func pythonString(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	var b strings.Builder
	b.WriteString(quote)
	for _, r := range s {
		short := strings.IndexRune("\t\n\r\\", r)
		switch {
		case short >= 0:
			b.WriteString(`\` + `tnr\`[short:][:1])
		case string(r) == quote:
			b.WriteString(`\` + quote)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 1<<8:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 1<<16:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteString(quote)
	return b.String()
}
