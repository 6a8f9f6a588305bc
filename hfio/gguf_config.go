package hfio

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// ggufConfig makes a config.json of a file's metadata. What is wrong is kept, to be
// reported together.
type ggufConfig struct {
	file     *GGUF
	name     string // of the file
	arch     string // general.architecture
	values   map[string]any
	read     map[string]bool // keys below the architecture that are accounted for
	used     map[string]bool // tensors that the config is made of
	problems problems
}

// ggufFinish fills in what a list of fields cannot say.
type ggufFinish func(c *ggufConfig)

// ggufTokens are the special tokens: the key in tokenizer.ggml and the one of config.json.
var ggufTokens = [][2]string{
	{"bos_token_id", "bos_token_id"}, {"eos_token_id", "eos_token_id"}, {"unknown_token_id", "unk_token_id"}, {"padding_token_id", "pad_token_id"},
}

// ggufUnused are keys that change nothing here: what transformers needs of them is in
// the tensors' shapes, or they are for llama.cpp alone. rope.scaling.attn_factor is the
// one that transformers computes itself.
var ggufUnused = []string{
	"vocab_size", "context_length", "feed_forward_length", "attention.value_length", "tensor_data_layout", "rope.dimension_count",
	"rope.scaling.finetuned", "rope.scaling.attn_factor", "attention.causal",
}

// configOf returns the config.json that transformers would make of the file.
func (a *ggufArchitecture) configOf(c *ggufConfig) (ModelConfig, error) {
	c.values["model_type"], c.values["architectures"] = a.modelType, []string{a.class}
	c.vocabulary()
	maps.Copy(c.values, a.config)
	for _, field := range a.fields {
		c.field(field)
	}
	for _, token := range ggufTokens {
		if id, ok := c.file.Metadata["tokenizer.ggml."+token[0]].(int64); ok {
			c.values[token[1]] = id
		}
	}
	if a.finish != nil {
		a.finish(c)
	}
	c.checkAllRead()
	if err := c.problems.err(); err != nil {
		return ModelConfig{}, err
	}
	text, err := json.Marshal(c.values)
	if err != nil {
		return ModelConfig{}, fmt.Errorf("%s: %w", c.name, err)
	}
	return ParseModelConfig(c.name, text)
}

// lookup returns a value below the architecture's name.
func (c *ggufConfig) lookup(key string) (any, bool) {
	c.read[key] = true
	value, ok := c.file.Metadata[c.arch+"."+key]
	return value, ok
}

func (c *ggufConfig) problem(key string, err error) {
	c.problems.add(&FieldError{File: c.name, Field: c.arch + "." + key, Err: err})
}

func (c *ggufConfig) reject(key, want string) {
	value, _ := c.lookup(key)
	c.problem(key, &Mismatch{shortValue(value), want, ErrValue})
}

// shortValue prints a value for an error message.
func shortValue(value any) string { return fmt.Sprintf("%.40s", fmt.Sprint(value)) }

// field copies a number.
func (c *ggufConfig) field(f ggufField) {
	value, ok := c.lookup(f.key)
	switch number := value.(type) {
	case int64:
		c.values[f.config] = number
		return
	case float64:
		if !math.IsNaN(number) && !math.IsInf(number, 0) {
			c.values[f.config] = number
			return
		}
	}
	switch {
	case ok:
		c.reject(f.key, "a number")
	case !f.optional:
		c.problem(f.key, fmt.Errorf("%w: want a number", errMissing))
	}
}

// int returns an integer, or 0.
func (c *ggufConfig) int(key string) int {
	value, _ := c.lookup(key)
	n, _ := value.(int64)
	return int(n)
}

// keyHeads returns the number of heads of keys and values.
func (c *ggufConfig) keyHeads() int {
	if _, ok := c.lookup("attention.head_count_kv"); ok {
		return c.int("attention.head_count_kv")
	}
	return c.int("attention.head_count")
}

// vocabulary sets the size of the vocabulary, which older files do not state, and whether
// the head is the embedding.
func (c *ggufConfig) vocabulary() {
	c.values["tie_word_embeddings"] = true
	for _, t := range c.file.Tensors {
		switch t.Name {
		case "token_embd.weight":
			c.values["vocab_size"] = rows(t)
		case "output.weight":
			c.values["tie_word_embeddings"] = false
		}
	}
}

// checkAllRead refuses what might change the computation and is not known here.
func (c *ggufConfig) checkAllRead() {
	for _, key := range slices.Sorted(maps.Keys(c.file.Metadata)) {
		below, ok := strings.CutPrefix(key, c.arch+".")
		if ok && !c.read[below] && !slices.Contains(ggufUnused, below) {
			c.problem(below, fmt.Errorf("%w: nothing is known of it", ErrUnsupported))
		}
	}
}

// tensor returns a tensor under its name in the file.
func (c *ggufConfig) tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(c.file.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return c.file.Tensors[i], true
}

func (c *ggufConfig) has(name string) bool {
	_, ok := c.tensor(name)
	return ok
}

// floats returns a tensor's values, nil if there is none of that name.
func (c *ggufConfig) floats(name string) []float32 {
	t, ok := c.tensor(name)
	if !ok {
		return nil
	}
	c.used[name] = true
	values, err := t.Float32s()
	c.problems.add(err)
	return values
}
