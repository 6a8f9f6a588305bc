package chat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gopeft/gopeft/tokenize/chat"
)

type golden struct {
	Template     string // a file, or
	Source       string
	Name         string
	Conversation [][2]string
	Generate     bool
	Text         *string
	Error        string
}

func (g *golden) messages() []chat.Message {
	var messages []chat.Message
	for _, turn := range g.Conversation {
		messages = append(messages, chat.Message{Role: turn[0], Content: turn[1]})
	}
	return messages
}

func (g *golden) source(t *testing.T) string {
	t.Helper()
	if g.Source != "" {
		return g.Source
	}
	source, err := os.ReadFile(filepath.Join("testdata", "templates", g.Template))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

var tokens = map[string]string{"bos_token": "<s>", "eos_token": "</s>"}

// The goldens are made by compat_test/oracle/chat_fixtures.py.
func TestGoldens(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "goldens.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Goldens []golden }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Goldens) == 0 {
		t.Fatal("no goldens")
	}
	for _, g := range file.Goldens {
		t.Run(fmt.Sprintf("%s%s/%s/%v", g.Template, g.Source, g.Name, g.Generate), func(t *testing.T) {
			template, err := chat.Parse("t.jinja", g.source(t), tokens)
			if err != nil {
				t.Fatal(err)
			}
			got, err := template.Render(g.messages(), g.Generate)
			switch {
			case g.Text == nil && (err == nil || err.Error() != "t.jinja: "+g.Error):
				t.Errorf("Render: %q, %v, want the error %q", got, err, g.Error)
			case g.Text != nil && (err != nil || got != *g.Text):
				t.Errorf("Render: %q, %v, want %q", got, err, *g.Text)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	question := []chat.Message{{Role: "user", Content: "a?"}}
	for _, c := range []struct{ name, config, file, want string }{
		{"string", `{"bos_token": "<s>", "chat_template": "{{ bos_token + messages[0].content }}"}`, "", "<s>a?"},
		{"whole token", `{"eos_token": {"content": "</s>"}, "add_eos_token": true, "chat_template": "{{ eos_token }}"}`, "", "</s>"},
		{"no token", `{"bos_token": null, "chat_template": "{{ bos_token is defined }}"}`, "", "False"},
		{"named", `{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}`, "", "d"},
		{"the file wins", `{"eos_token": "</s>", "chat_template": "c"}`, "f{{ eos_token }}\n", "f</s>"},
		{"file alone", ``, "{{ messages[0]['role'] }}", "user"},
	} {
		directory := fstest.MapFS{}
		if c.config != "" {
			directory["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(c.config)}
		}
		if c.file != "" {
			directory["chat_template.jinja"] = &fstest.MapFile{Data: []byte(c.file)}
		}
		template, err := chat.Load(directory)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, err := template.Render(question, false); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := chat.Load(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of an empty directory: %v, want fs.ErrNotExist", err)
	}
}

func TestErrors(t *testing.T) {
	for source, want := range map[string]string{
		"{% if %}":                               "jinja parse: ",
		"a\n{{ 'b }}":                            "line 2: a string without an end",
		"{{ a":                                   "line 1: a tag without its }}",
		"{# a":                                   "line 1: a comment without an end",
		"{{ 'a' | shout }}":                      `filter "shout" is not supported`,
		"{{ l | map('trim') }}":                  `filter "map" with the argument "trim" is not supported`,
		"{{ l | tojson(sort_keys=true) }}":       `filter "tojson" with the argument "sort_keys" is not supported`,
		"{{ 'a' is not loud }}":                  `test "loud" is not supported`,
		"{{ 'a'.casefold() }}":                   `method "casefold" is not supported`,
		"{% include 'x' %}":                      `statement " include \"x\"" is not supported`,
		"{{ call_me() }}":                        `function "call_me" is not supported`,
		"{{ '%s' % 'a' }}":                       "text % value is not supported",
		"{% for x in l recursive %}{% endfor %}": "a recursive loop is not supported",
		"{{ raise_exception('no such role') }}":  "no such role",
		"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}":                                        "macro f, which calls itself, is not supported",
		"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f () }}{% endmacro %}{{ f() }}": "macro f, which calls itself, is not supported",
		"{% macro f() %}{{ n.g() }}{% endmacro %}{% set n.g = f %}":                              `method "g" is not supported`,
		"{% macro f() %}{{ n.get() }}{% endmacro %}{% set n.get = f %}":                          "macro f, used without being called, is not supported",
		"{% set n = namespace() %}{% set n.a = n %}{{ n }}":                                      "namespace n without an attribute is not supported",
		"{% set n = namespace(), 1 %}{% set n[0].a = n[0] %}{{ n }}":                             "namespace n without an attribute is not supported",
		"{% set n = [namespace()] %}{% set n[0].a = n %}{{ n }}":                                 "a namespace without a name is not supported",
		strings.Repeat("a", 1<<17):                                                               "131072 bytes, want at most 102400",
	} {
		want = "t.jinja: " + want
		template, err := chat.Parse("t.jinja", source, tokens)
		if err == nil {
			_, err = template.Render([]chat.Message{{Role: "user"}}, false)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", source, err, want)
		}
	}
	template, err := chat.Parse("t.jinja", "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := template.Render(nil, false); err == nil {
		t.Error("Render of no messages: no error")
	}
}

// FuzzTemplate: no template panics or ends the process.
func FuzzTemplate(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "templates", "*.jinja"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no templates to start from: %v", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	f.Fuzz(func(t *testing.T, source string) {
		// Long loops and long strings are a template's right.
		if strings.Contains(source, "range") || strings.ContainsAny(source, "*") || len(source) > 1<<12 {
			return
		}
		if template, err := chat.Parse("t.jinja", source, tokens); err == nil {
			_, _ = template.Render([]chat.Message{{Role: "system", Content: "a"}, {Role: "user", Content: "b"}}, true)
		}
	})
}

func ExampleLoad() {
	template, err := chat.Load(fstest.MapFS{"tokenizer_config.json": {Data: []byte(`{"chat_template":
		"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"}`)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := template.Render([]chat.Message{{Role: "user", Content: "Which way?"}}, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(text)
	// Output:
	// <|im_start|>user
	// Which way?<|im_end|>
	// <|im_start|>assistant
}
