package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// longestTemplate bounds what is compiled, and how deep it can nest. Those of common
// models have up to 20 KB.
const longestTemplate = 100 << 10

// What the engine is known to do as Jinja does. The rest is refused by name, as the engine
// would do something else with some of it and say nothing.
var (
	statements = words("if elif else endif for endfor set endset macro endmacro call endcall filter endfilter generation endgeneration break continue")
	filters    = words("capitalize count d default first int items join last length list lower map max min reject rejectattr replace reverse round " +
		"safe select selectattr string sum title tojson trim unique upper")
	tests = words("boolean defined divisibleby eq equalto even false ge gt in iterable le lower lt mapping ne none number odd sequence string true undefined upper")
	// methods of strings and dicts, and of the loop.
	methods   = words("count cycle endswith find get items keys lower lstrip replace rstrip split startswith strip title upper values")
	functions = words("caller dict namespace raise_exception range strftime_now")
	operators = words("and else if in is not or")
)

func words(list string) []string { return strings.Fields(list) }

// check refuses what the engine does not do as Jinja does, and what could bring the process down.
func check(segments []segment) error {
	var macros []string
	for _, s := range segments {
		if s.kind == '%' && len(s.tokens) > 1 && s.tokens[0].is('n', "macro") {
			macros = append(macros, s.tokens[1].text)
		}
	}
	for _, s := range segments {
		if err := checkTag(s, macros); err != nil {
			return err
		}
	}
	if err := checkNamespaces(segments); err != nil {
		return err
	}
	return checkMacros(segments, macros)
}

// checkNamespaces refuses what could put a namespace in itself, which the engine would follow for
// ever: one that has no name, and its name without an attribute.
func checkNamespaces(segments []segment) error {
	var names []string
	made := func(tokens []token, i int) bool { // by {% set name = namespace(…
		return i == 3 && tokens[0].is('n', "set") && tokens[2].is('o', "=") && tokens[i].is('n', "namespace")
	}
	for _, s := range segments {
		for i, t := range s.tokens {
			switch {
			case s.kind == '%' && made(s.tokens, i):
				names = append(names, s.tokens[1].text)
			case t.is('n', "namespace"):
				return errors.New("a namespace without a name is not supported")
			}
		}
	}
	for _, s := range segments {
		for i, t := range s.tokens {
			isTarget := s.kind == '%' && i == 1 && s.tokens[0].is('n', "set")
			hasAttribute := i+1 < len(s.tokens) && s.tokens[i+1].is('o', ".")
			isAttribute := i > 0 && s.tokens[i-1].is('o', ".")
			if t.kind == 'n' && slices.Contains(names, t.text) && !isTarget && !hasAttribute && !isAttribute {
				return fmt.Errorf("namespace %s without an attribute is not supported", t.text)
			}
		}
	}
	return nil
}

func checkTag(s segment, macros []string) error {
	tokens := s.tokens
	if s.kind == '%' {
		if len(tokens) == 0 || !slices.Contains(statements, tokens[0].text) {
			return fmt.Errorf("statement %q is not supported", joinTokens(tokens))
		}
		if tokens[0].text == "for" && slices.ContainsFunc(tokens, func(t token) bool { return t.is('n', "recursive") }) {
			return errors.New("a recursive loop is not supported")
		}
		if tokens[0].text == "filter" && len(tokens) > 1 && !slices.Contains(filters, tokens[1].text) {
			return fmt.Errorf("filter %q is not supported", tokens[1].text)
		}
	}
	for i, t := range tokens {
		if t.is('o', "%") && i > 0 && tokens[i-1].kind == 's' {
			return errors.New("text % value is not supported")
		}
		if t.kind != 'n' {
			continue
		}
		before := token{}
		if i > 0 {
			before = tokens[i-1]
		}
		if before.is('n', "not") && i > 1 && tokens[i-2].is('n', "is") {
			before = tokens[i-2]
		}
		called := i+1 < len(tokens) && tokens[i+1].is('o', "(")
		if err := checkName(t.text, before, called, tokens[i+1:], macros); err != nil {
			return err
		}
		if i == 0 && (t.text == "macro" || t.text == "filter") {
			return checkArguments(tokens)
		}
	}
	return nil
}

// checkArguments looks at the rest of a macro's or a filter's tag, whose name is given.
func checkArguments(tokens []token) error {
	if len(tokens) < 2 {
		return fmt.Errorf("%s without a name", tokens[0].text)
	}
	return checkTag(segment{kind: '{', tokens: tokens[2:]}, nil)
}

func checkName(name string, before token, called bool, after []token, macros []string) error {
	switch {
	case before.is('o', "|"):
		if !slices.Contains(filters, name) {
			return fmt.Errorf("filter %q is not supported", name)
		}
		return checkFilter(name, after)
	case before.is('n', "is") && name != "not":
		if !slices.Contains(tests, name) {
			return fmt.Errorf("test %q is not supported", name)
		}
	case before.is('o', ".") && called:
		if !slices.Contains(methods, name) {
			return fmt.Errorf("method %q is not supported", name)
		}
	case called && !before.is('o', ".") && !slices.Contains(operators, name) && !slices.Contains(statements, name):
		if !slices.Contains(functions, name) && !slices.Contains(macros, name) {
			return fmt.Errorf("function %q is not supported", name)
		}
	}
	return nil
}

// checkFilter looks at the arguments of filters of which some are not known.
func checkFilter(name string, after []token) error {
	known := map[string][]string{"map": {"attribute"}, "tojson": {"indent", ")"}, "sum": {")"}, "unique": {")"}}[name]
	if called := len(after) > 1 && after[0].is('o', "("); !called || known == nil {
		if name == "map" {
			return errors.New(`filter "map" without an attribute is not supported`)
		}
		return nil
	}
	for _, t := range after[1:] {
		if t.is('o', ")") && slices.Contains(known, ")") {
			return nil
		}
		if t.is('o', ",") || !slices.Contains(known, after[1].text) {
			return fmt.Errorf("filter %q with the argument %q is not supported", name, after[1].text)
		}
		if t.is('o', ")") {
			return nil
		}
	}
	return nil
}

// checkMacros refuses recursion: Go has no way out of one without end, and the engine does not count.
func checkMacros(segments []segment, macros []string) error {
	calls := map[string][]string{}
	inside := "" // the macro
	for _, s := range segments {
		tokens := s.tokens
		if s.kind == '%' && tokens[0].text == "macro" {
			if inside != "" {
				return errors.New("a macro in a macro is not supported")
			}
			inside, tokens = tokens[1].text, tokens[2:]
		}
		if s.kind == '%' && s.tokens[0].text == "endmacro" {
			inside = ""
		}
		for i, t := range tokens {
			if t.kind != 'n' || !slices.Contains(macros, t.text) {
				continue
			}
			if i+1 == len(tokens) || !tokens[i+1].is('o', "(") {
				return fmt.Errorf("macro %s, used without being called, is not supported", t.text)
			}
			calls[inside] = append(calls[inside], t.text)
		}
	}
	for _, macro := range macros {
		if reaches(calls, macro, macro, map[string]bool{}) {
			return fmt.Errorf("macro %s, which calls itself, is not supported", macro)
		}
	}
	return nil
}

func reaches(calls map[string][]string, from, to string, seen map[string]bool) bool {
	for _, next := range calls[from] {
		if next == to {
			return true
		}
		if !seen[next] {
			seen[next] = true
			if reaches(calls, next, to, seen) {
				return true
			}
		}
	}
	return false
}
