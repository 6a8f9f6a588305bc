package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Load reads the tokenizer of a model directory: tokenizer.json, or else what was there
// before it: vocab.txt, vocab.json with merges.txt, or a sentencepiece model, with the
// settings of tokenizer_config.json where there is one. An error for a directory with none of
// these wraps fs.ErrNotExist.
//
// As in transformers, do_lower_case, strip_accents and tokenize_chinese_chars of
// tokenizer_config.json win over a BertNormalizer in tokenizer.json, unless the
// tokenizer class named there takes the file as it is. Where they are absent,
// tokenizer.json counts (transformers would lower the case then).
func Load(fsys fs.FS) (*Tokenizer, error) {
	data, err := fs.ReadFile(fsys, "tokenizer.json")
	if errors.Is(err, fs.ErrNotExist) {
		return loadDirectory(fsys)
	}
	if err != nil {
		return nil, err
	}
	t, err := Parse("tokenizer.json", data)
	if err != nil {
		return nil, err
	}
	return t, t.applyConfig(fsys)
}

// optionalFile reads a JSON object; without the file it is empty.
func optionalFile(fsys fs.FS, name string, log *problems) (*object, error) {
	data, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	log.file = name
	if err := checkJSON(data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o := newObject("", data, log)
	if o == nil {
		return nil, log.err()
	}
	return o, nil
}

// asItIs names the classes of transformers that keep the normaliser of tokenizer.json.
var asItIs = []string{"PreTrainedTokenizerFast", "TokenizersBackend"}

func (t *Tokenizer) applyConfig(fsys fs.FS) error {
	log := &problems{}
	config, err := optionalFile(fsys, "tokenizer_config.json", log)
	if err != nil {
		return err
	}
	if n, ok := t.normalizer.(*bertNormalizer); ok && !slices.Contains(asItIs, config.optionalString("tokenizer_class", "")) {
		t.normalizer = n.configured(config)
		t.added.index(t.normalizer, log)
	}
	t.readCleanUp(config)
	t.special = t.specialIDs(readRoles(config))
	return log.err()
}

// configured returns the normaliser with what a tokenizer_config.json says about it.
func (n *bertNormalizer) configured(config *object) *bertNormalizer {
	lower := config.optionalBool("do_lower_case", n.lowercase)
	strip := n.stripAccents
	if config.has("do_lower_case") || config.has("strip_accents") {
		strip = config.optionalBool("strip_accents", lower)
	}
	return newBertNormalizer(n.cleanText, config.optionalBool("tokenize_chinese_chars", n.handleChineseChars), strip, lower)
}
