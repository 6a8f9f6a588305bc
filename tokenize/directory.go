package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Directories without a tokenizer.json say by their class what is around the model.
// Source: transformers 5.23, models/auto/tokenization_auto.py.

// modelClasses are the classes for the model_type of config.json, which counts where
// tokenizer_config.json names none.
var modelClasses = map[string]string{
	"albert": "AlbertTokenizer", "bart": "RobertaTokenizer", "camembert": "CamembertTokenizer", "deberta": "DebertaTokenizer", "deberta-v2": "DebertaV2Tokenizer",
	"gemma": "GemmaTokenizer", "gemma2": "GemmaTokenizer", "gemma3": "GemmaTokenizer", "gemma3_text": "GemmaTokenizer",
	"gpt2": "GPT2Tokenizer", "llama": "LlamaTokenizer", "mbart": "MBartTokenizer", "mistral": "LlamaTokenizer", "mt5": "T5Tokenizer",
	"opt": "GPT2Tokenizer", "pegasus": "PegasusTokenizer", "phi": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer",
	"roberta": "RobertaTokenizer", "t5": "T5Tokenizer", "xlm-roberta": "XLMRobertaTokenizer",
}

// otherNames of classes.
var otherNames = map[string]string{"BartTokenizer": "RobertaTokenizer", "MT5Tokenizer": "T5Tokenizer"}

// loadDirectory reads a model directory without a tokenizer.json.
func loadDirectory(fsys fs.FS) (*Tokenizer, error) {
	words, err := fs.ReadFile(fsys, "vocab.txt")
	if err == nil {
		return loadVocabulary(fsys, words)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	log := &problems{}
	model, err := optionalFile(fsys, "config.json", log)
	if err != nil {
		return nil, err
	}
	class := modelClasses[model.optionalString("model_type", "")]
	config, err := optionalFile(fsys, "tokenizer_config.json", log)
	if err != nil {
		return nil, err
	}
	class = strings.TrimSuffix(config.optionalString("tokenizer_class", class), "Fast")
	if other, ok := otherNames[class]; ok {
		class = other
	}
	if kind, ok := pieceKinds[class]; ok {
		return loadPieces(fsys, kind, config, log)
	}
	if kind, ok := byteKinds[class]; ok {
		return loadBytes(fsys, kind, config, log)
	}
	return nil, unknownDirectory(fsys, class)
}

// unknownDirectory says why a directory is not read.
func unknownDirectory(fsys fs.FS, class string) error {
	files := []string{"vocab.json"}
	for _, kind := range pieceKinds {
		files = append(files, kind.file)
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if _, err := fs.Stat(fsys, file); err == nil {
			classes := slices.Sorted(maps.Keys(pieceKinds))
			classes = slices.Sorted(slices.Values(append(classes, slices.Sorted(maps.Keys(byteKinds))...)))
			return &FieldError{"tokenizer_config.json", "tokenizer_class", quoted(class), "one of " + strings.Join(classes, ", ") + ": " + file + " does not say what is around it"}
		}
	}
	return fmt.Errorf("no tokenizer.json, no vocab.txt, no vocab.json and no sentencepiece model: %w", fs.ErrNotExist)
}

// directoryBuilder holds what a class makes of a directory.
type directoryBuilder struct {
	config       *object
	roles        Roles
	description  Description
	added        []AddedToken // that the class has, beside the roles
	single, pair []string     // the template; nil: as add_bos_token and add_eos_token say
}

// finish makes the tokenizer; file is the model's name in messages.
func (b *directoryBuilder) finish(fsys fs.FS, file string, log *problems) (*Tokenizer, error) {
	listed, names, err := listedTokens(fsys, b.config, b.roles, b.added, log)
	if err := errors.Join(err, log.err()); err != nil {
		return nil, err
	}
	b.description.Added, b.description.Roles = listed, names
	t, err := New(file, b.description)
	if err != nil {
		return nil, err
	}
	if b.single == nil && b.description.PostProcessor == "" {
		b.plainTemplate()
	}
	if b.single != nil {
		t.template = t.templateOf(b.single, b.pair, log)
	}
	t.readCleanUp(b.config)
	return t, log.err()
}

// plainTemplate puts the tokens that begin and end a text around each.
func (b *directoryBuilder) plainTemplate() {
	var bos, eos []string
	if b.config.optionalBool("add_bos_token", false) && b.roles.Bos != "" {
		bos = []string{b.roles.Bos}
	}
	if b.config.optionalBool("add_eos_token", false) && b.roles.Eos != "" {
		eos = []string{b.roles.Eos}
	}
	b.single = slices.Concat(bos, []string{"$A"}, eos)
	b.pair = slices.Clone(b.single)
	for _, part := range slices.Concat(bos, []string{"$B"}, eos) {
		b.pair = append(b.pair, part+":1")
	}
}

// templateOf reads the notation of the reference: $A and $B are the texts, :1 stands before
// a type id of 1, and the rest are special tokens.
func (t *Tokenizer) templateOf(single, pair []string, log *problems) *template {
	read := func(names []string) []part {
		var parts []part
		for _, name := range names {
			name, typed := strings.CutSuffix(name, ":1")
			p := part{sequence: slices.Index([]string{"$A", "$B"}, name)}
			if p.sequence < 0 {
				if _, known := t.ID(name); !known {
					log.add("template", quoted(name), "a token of the vocabulary")
				}
				p = t.named(name)
			}
			if typed {
				p.typeID = 1
			}
			parts = append(parts, p)
		}
		return parts
	}
	return &template{single: read(single), pair: read(pair)}
}
