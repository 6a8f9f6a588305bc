// Package chat turns a conversation into the text that a model was trained on, with the
// chat template of its tokenizer, as apply_chat_template of transformers does. Start at
// [Load]. The text holds the special tokens already: encode it with
// tokenize.Options.NoSpecialTokens.
//
// Templates are Jinja, which github.com/ardanlabs/jinja runs, with filters of this package where
// its own differ. Statements, filters, tests, methods and functions that it does not have are
// errors that name them. In the values that templates compute it differs from Jinja and says
// nothing:
//
//   - Whole floats print without their .0, and integers have 64 bits.
//   - // and % round towards zero: -7 // 2 is -3, and -7 % 3 is -1.
//   - 1 is not equal to true; neither true nor 1.0 is in [1].
//   - Of comparisons in a chain each compares the result of the one before: 1 < 3 > 2 is false.
//     Lists have no order: [1] < [2] is false.
//   - split takes all of a text apart, whatever its second argument says.
//   - Tuples are lists, keys are texts, and a list times a number is 0.
//   - ~ and join make nothing of none, and join leaves a text as it is.
//   - Filters come before a minus: -1 | string is 0.
//   - find counts bytes, startswith and endswith take one text, int has no default, list makes
//     no keys of a dict, map takes no index, and upper leaves an ß.
//   - title as a filter begins a word behind an apostrophe and as a method does not; in Jinja it is
//     the other way round.
//   - What is asked of something undefined is undefined, and a loop over none has no turns; in Jinja both are errors.
//
// A template is a program: it is given the messages and the special tokens, reads nothing else, and
// runs for as long as its loops do.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/ardanlabs/jinja"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant, as the template knows them
	Content string `json:"content"`
}

// Template is a chat template with the special tokens it can use. It is safe for concurrent use.
type Template struct {
	name     string
	compiled *jinja.Template
	tokens   map[string]string
}

// Load reads the template of a model directory: chat_template.jinja, or else the
// chat_template of tokenizer_config.json, which names the special tokens too. The error of
// a directory without a template wraps fs.ErrNotExist.
func Load(fsys fs.FS) (*Template, error) {
	config, err := readConfig(fsys)
	if err != nil {
		return nil, err
	}
	source, err := fs.ReadFile(fsys, "chat_template.jinja")
	if err == nil {
		return Parse("chat_template.jinja", string(source), config.tokens)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if config.template == "" {
		return nil, fmt.Errorf("no chat_template.jinja and no chat_template in tokenizer_config.json: %w", fs.ErrNotExist)
	}
	return Parse("tokenizer_config.json: chat_template", config.template, config.tokens)
}

// Parse reads a template; name stands for it in messages, and tokens are the special tokens
// by the names that templates know them by, such as "eos_token".
func Parse(name, source string, tokens map[string]string) (*Template, error) {
	if len(source) > longestTemplate {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", name, len(source), longestTemplate)
	}
	segments, err := cutSource(source)
	if err == nil {
		err = check(segments)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := &Template{name: name, tokens: maps.Clone(tokens)}
	err = recovered(func() (err error) {
		t.compiled, err = jinja.Compile(joinSource(segments))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Render returns the text of a conversation, with the beginning of the assistant's next
// turn where addGenerationPrompt is set. A template that does not take such a conversation
// says so in the error.
func (t *Template) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	if len(messages) == 0 {
		return "", fmt.Errorf("%s: no messages, want at least one", t.name)
	}
	turns := make([]jinja.Value, len(messages))
	for i, m := range messages {
		turns[i] = jinja.NewDict()
		turns[i].AsDict().Set("role", jinja.NewString(m.Role))
		turns[i].AsDict().Set("content", jinja.NewString(m.Content))
	}
	variables := map[string]jinja.Value{
		"messages": jinja.NewList(turns), "add_generation_prompt": jinja.NewBool(addGenerationPrompt),
		"tools": jinja.None(), "documents": jinja.None(),
	}
	for name, token := range t.tokens {
		variables[name] = jinja.NewString(token)
	}
	for name, filter := range ownFilters {
		variables[ownPrefix+name] = jinja.NewCallable(name, filter)
	}
	text := ""
	err := recovered(func() (err error) {
		text, err = t.compiled.RenderValues(variables)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.name, err)
	}
	return text, nil
}

// recovered runs what must never take the process down.
func recovered(f func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the template engine gave up: %v", reason)
		}
	}()
	return f()
}

// config is what counts of tokenizer_config.json.
type config struct {
	template string
	tokens   map[string]string
}

func readConfig(fsys fs.FS) (config, error) {
	const file = "tokenizer_config.json"
	c := config{tokens: map[string]string{}}
	data, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		switch {
		case name == "chat_template":
			c.template, err = readTemplate(fields[name])
		case strings.HasSuffix(name, "_token"):
			err = c.addToken(name, fields[name])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: field %q: %w", file, name, err))
		}
	}
	return c, errors.Join(problems...)
}

// readTemplate reads a template or, of a list of named ones, the default.
func readTemplate(raw json.RawMessage) (string, error) {
	var source string
	if json.Unmarshal(raw, &source) == nil {
		return source, nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return "", errors.New("want a template, or a list of templates with names")
	}
	for _, n := range named {
		if n.Name == "default" {
			return n.Template, nil
		}
	}
	return "", fmt.Errorf("%d templates, want one named default", len(named))
}

// addToken reads "</s>" or {"content": "</s>", …}. Flags, as add_bos_token, are no tokens.
func (c *config) addToken(name string, raw json.RawMessage) error {
	var token *string
	if json.Unmarshal(raw, &token) != nil {
		var whole struct{ Content *string }
		if strings.HasPrefix(name, "add_") || json.Unmarshal(raw, &whole) != nil {
			return nil
		}
		token = whole.Content
	}
	if token != nil {
		c.tokens[name] = *token
	}
	return nil
}
