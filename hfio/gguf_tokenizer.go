package hfio

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// The files of a model's tokenizer.
const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
)

// TokenizerFiles returns a file system that holds the tokenizer of a model: the given
// one, or where the model is a GGUF file and no tokenizer stands beside it, one with a
// tokenizer.json and a tokenizer_config.json that are made of the file's metadata.
func TokenizerFiles(fsys fs.FS) (fs.FS, error) {
	name, err := FindGGUF(fsys)
	if err != nil || name == "" || exists(fsys, tokenizerFile) {
		return fsys, err
	}
	file, err := OpenGGUF(fsys, name, nil)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t := &ggufTokenizer{file: fileName(fsys, name), metadata: file.Metadata}
	return t.files()
}

// ggufTokenizer makes the files of a tokenizer, as transformers does of a GGUF file.
// Source: transformers, integrations/gguf/gguf_tokenizer_mapping.py.
type ggufTokenizer struct {
	file     string
	metadata map[string]any
	problems problems

	architecture, model, pre string
	tokens, merges           []string
	scores                   []float64
	types                    []int64
}

// The kinds of tokens, llama_token_type of llama.cpp, that are matched in the text.
const (
	ggufUnknown     = 2
	ggufControl     = 3
	ggufUserDefined = 4
)

func (t *ggufTokenizer) files() (fs.FS, error) {
	t.architecture, _ = t.metadata["general.architecture"].(string)
	t.model = ggufValue[string](t, "model", true)
	t.pre = ggufValue[string](t, "pre", false)
	t.tokens = ggufValue[[]string](t, "tokens", true)
	t.merges = ggufValue[[]string](t, "merges", false)
	t.scores = ggufValue[[]float64](t, "scores", false)
	t.types = ggufValue[[]int64](t, "token_type", false)
	if t.types != nil && len(t.types) != len(t.tokens) {
		t.problem("token_type", fmt.Sprintf("%d", len(t.types)), fmt.Sprintf("%d, one a token", len(t.tokens)))
	}
	root := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": t.added(), "post_processor": t.template(), "normalizer": nil,
	}
	if t.problems.err() == nil {
		maps.Copy(root, t.stages())
	}
	config := t.config()
	if err := t.problems.err(); err != nil {
		return nil, err
	}
	tokenizer, err := json.Marshal(root)
	if err != nil {
		return nil, err
	}
	return memory{tokenizerFile: tokenizer, tokenizerConfigFile: config}, nil
}

// ggufValue reads a value below tokenizer.ggml.
func ggufValue[T any](t *ggufTokenizer, key string, wanted bool) T {
	value, there := t.metadata["tokenizer.ggml."+key]
	typed, ok := value.(T)
	switch {
	case !there && wanted:
		t.problem(key, "nothing", fmt.Sprintf("a value of type %T", typed))
	case there && !ok:
		t.problem(key, shortValue(value), fmt.Sprintf("a value of type %T", typed))
	}
	return typed
}

func (t *ggufTokenizer) problem(key, found, want string) {
	t.problems.add(&FieldError{t.file, "tokenizer.ggml." + key, &Mismatch{found, want, ErrValue}})
}

// special returns the token with a role; ok tells whether there is one.
func (t *ggufTokenizer) special(role string) (token string, ok bool) {
	key := role + "_token_id"
	if _, there := t.metadata["tokenizer.ggml."+key]; !there {
		return "", false
	}
	id := ggufValue[int64](t, key, false)
	if id < 0 || id >= int64(len(t.tokens)) {
		t.problem(key, fmt.Sprint(id), fmt.Sprintf("one of %d tokens", len(t.tokens)))
		return "", false
	}
	return t.tokens[id], true
}

// added lists the tokens that are matched whole in the text.
func (t *ggufTokenizer) added() []map[string]any {
	list := []map[string]any{}
	for id := range min(len(t.types), len(t.tokens)) {
		switch kind := t.types[id]; kind {
		case ggufUnknown, ggufControl, ggufUserDefined:
			list = append(list, map[string]any{
				"id": id, "content": t.spelled(id), "single_word": false, "lstrip": false, "rstrip": false,
				"normalized": false, "special": kind != ggufUserDefined,
			})
		}
	}
	return list
}

// template puts the tokens before and behind a text that the file asks for.
func (t *ggufTokenizer) template() any {
	// llama.cpp adds bos to a sentencepiece vocabulary that does not say otherwise.
	before, after := t.adds("bos", t.model == "llama"), t.adds("eos", false)
	used := map[string]any{}
	token := func(name string, typeID int) []any {
		if name == "" {
			return nil
		}
		used[name] = map[string]any{"id": name, "ids": []int{slices.Index(t.tokens, name)}, "tokens": []string{name}}
		return []any{map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": typeID}}}
	}
	sequence := func(id string, typeID int) []any {
		text := map[string]any{"Sequence": map[string]any{"id": id, "type_id": typeID}}
		return slices.Concat(token(before, typeID), []any{text}, token(after, typeID))
	}
	return map[string]any{
		"type": "TemplateProcessing", "single": sequence("A", 0), "pair": slices.Concat(sequence("A", 0), sequence("B", 1)), "special_tokens": used,
	}
}

// adds returns the token with a role if texts get it, "" otherwise.
func (t *ggufTokenizer) adds(role string, otherwise bool) string {
	add := otherwise
	if _, there := t.metadata["tokenizer.ggml.add_"+role+"_token"]; there {
		add = ggufValue[bool](t, "add_"+role+"_token", false)
	}
	if !add {
		return ""
	}
	token, _ := t.special(role)
	return token
}

// config is the tokenizer_config.json: the roles of tokens and the chat template.
func (t *ggufTokenizer) config() []byte {
	values := map[string]any{"tokenizer_class": "TokenizersBackend"}
	for role, name := range map[string]string{"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"} {
		if token, ok := t.special(role); ok {
			values[name+"_token"] = token
		}
	}
	if template, ok := t.metadata["tokenizer.chat_template"].(string); ok {
		values["chat_template"] = template
	}
	text, err := json.Marshal(values)
	t.problems.add(err)
	return text
}

// vocabulary returns the tokens with their ids.
func (t *ggufTokenizer) vocabulary() map[string]int {
	ids := make(map[string]int, len(t.tokens))
	for id := range t.tokens {
		token := t.spelled(id)
		if other, twice := ids[token]; twice {
			t.problem("tokens", fmt.Sprintf("%q as %d and %d", token, other, id), "each token once")
		}
		ids[token] = id
	}
	return ids
}

// spelled returns a token as tokenizer.json has it.
func (t *ggufTokenizer) spelled(id int) string {
	token := t.tokens[id]
	kind := int64(0)
	if id < len(t.types) {
		kind = t.types[id]
	}
	switch {
	case t.model == "gpt2" && kind != ggufControl && kind != ggufUserDefined:
		return byteLevelSpelling(token)
	case t.model == "llama" && strings.HasPrefix(t.architecture, "gemma") && strings.Trim(token, " ") == "":
		return strings.ReplaceAll(token, " ", metaspace)
	}
	return token
}

// metaspace is what sentencepiece writes for a space.
const metaspace = "\u2581"

// byteLevelSpelling writes a token whose characters are not all of GPT-2's alphabet of
// bytes in that alphabet.
func byteLevelSpelling(token string) string {
	inAlphabet := func(r rune) bool {
		return r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae && r <= 0x143
	}
	if !strings.ContainsFunc(token, func(r rune) bool { return !inAlphabet(r) }) {
		return token
	}
	var spelled strings.Builder
	for _, b := range []byte(token) {
		spelled.WriteRune(byteCharacter(b))
	}
	return spelled.String()
}

// byteCharacter is bytes_to_unicode of GPT-2: printable bytes are themselves, the others
// follow each other from 256.
func byteCharacter(b byte) rune {
	switch {
	case b <= ' ':
		return 256 + rune(b)
	case b >= 0x7f && b <= 0xa0:
		return 256 + 33 + rune(b-0x7f)
	case b == 0xad:
		return 256 + 33 + 34
	}
	return rune(b)
}
