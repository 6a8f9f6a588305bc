package hfio

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// TestJSONIsWrittenAsPython compares with json.dumps(json.loads(input), indent=2,
// sort_keys=True) of Python.
func TestJSONIsWrittenAsPython(t *testing.T) {
	for _, name := range []string{"strange", "raw"} {
		t.Run(name, func(t *testing.T) {
			v, err := parseJSON(name, fixture(t, "json/"+name+"_input.json"))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(appendPythonJSON(nil, &v, 0)), string(fixture(t, "json/"+name+".json")); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestFloatsAreWrittenAsPython(t *testing.T) {
	var cases []struct {
		Bits uint64
		Text string
	}
	if err := json.Unmarshal(fixture(t, "json/floats.json"), &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if got := pythonFloat(math.Float64frombits(c.Bits)); got != c.Text {
			t.Errorf("pythonFloat(%016x) = %s, want %s", c.Bits, got, c.Text)
		}
	}
}

func TestMalformedJSON(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":             {"", "x:1: malformed file: found the end"},
		"line number":       {"{\n\"a\": 1,\n}", "x:3:"},
		"trailing comma":    {"[1,]", "want a value"},
		"text behind":       {"{} {}", "want end of file"},
		"leading zero":      {"01", "want end of file"},
		"plus":              {"+1", "want a value"},
		"point":             {"1.", "want a digit"},
		"exponent":          {"1e", "want a digit"},
		"minus infinity":    {"-Inf", "want a value"},
		"no colon":          {`{"a" 1}`, `want ":"`},
		"key":               {"{a:1}", "a key in quotes"},
		"open string":       {`"abc`, "closing"},
		"control character": {"\"a\nb\"", "a character of a string"},
		"escape":            {`"\x"`, "an escape"},
		"short escape":      {`"\u12"`, "an escape"},
		"bad escape":        {`"\u12x4"`, "hexadecimal"},
		"signed escape":     {`"\u+123"`, "hexadecimal"},
		"cut escape":        {`"\`, "an escape"},
		"invalid UTF-8":     {"\"\xff\"", "UTF-8"},
		"mark of UTF-8":     {"\ufeff{}", "want a value"},
		"deep list":         {strings.Repeat("[", 1e6), "nested deeper"},
		"deep object":       {strings.Repeat(`{"a":`, 1e6), "nested deeper"},
		"too many values":   {"[" + strings.Repeat("0,", maxJSONValues) + "0]", "more than"},
		"single quotes":     {"{'a': 1}", "a key in quotes"},
	} {
		if _, err := parseJSON("x", []byte(tt.text)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tt.want)
		}
	}
}

func TestYAMLIsWrittenAsPyYAML(t *testing.T) {
	var cases []struct{ Name, YAML string }
	if err := json.Unmarshal(fixture(t, "yaml.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 50 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		got := appendYAMLString([]byte("base_model: "), c.Name, 12)
		got = appendYAMLString(append(got, "\ntags:\n- "...), "base_model:adapter:"+c.Name, 2)
		if string(got) != c.YAML {
			t.Errorf("%q:\n%s\nwant\n%s", c.Name, got, c.YAML)
		}
	}
}
