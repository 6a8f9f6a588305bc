package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Parse reads one tokenizer.json; file is its name in messages. Components and
// fields that are unknown here are errors of type *FieldError, all of them in
// one errors.Join. The truncation and padding of the file are ignored.
func Parse(file string, data []byte) (*Tokenizer, error) {
	log := &problems{file: file}
	if err := checkJSON(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	root := newObject("", data, log)
	if root == nil {
		return nil, log.err()
	}
	t := parseRoot(root)
	if err := log.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// checkJSON gives syntax errors their place in the file.
func checkJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("byte %d: more after the end of the JSON value", d.InputOffset())
	}
	return nil
}

func parseRoot(root *object) *Tokenizer {
	if version := root.optionalString("version", "1.0"); version != "1.0" {
		root.wrong("version", quoted(version), `"1.0"`)
	}
	// transformers sets both anew for every call.
	root.raw("truncation")
	root.raw("padding")
	t := readStages(root)
	t.model = readModel(root)
	listed := readAddedTokens(root)
	root.done()
	if t.model == nil || len(root.log.errs) > 0 {
		return nil
	}
	t.added = newAddedTokens(listed, t.model, t.normalizer, root.log)
	t.special = t.specialIDs(bertRoles)
	return t
}

// readStages reads all but the model.
func readStages(root *object) *Tokenizer {
	return &Tokenizer{
		normalizer:   component(root, "normalizer", normalizers),
		preTokenizer: component(root, "pre_tokenizer", preTokenizers),
		template:     component(root, "post_processor", postProcessors),
		decoder:      component(root, "decoder", decoders),
	}
}

// readModel reads the model, whose type old files leave out.
func readModel(root *object) model {
	raw := root.raw("model")
	part := newObject("model", raw, root.log)
	if part == nil {
		return nil
	}
	if _, ok := part.fields["type"]; ok {
		return readKind(part, part.string("type"), models)
	}
	// Each kind has a field that no other has.
	for _, kind := range [][2]string{{"merges", "BPE"}, {"max_input_chars_per_word", "WordPiece"}, {"unk_id", "Unigram"}} {
		if part.has(kind[0]) {
			return readKind(part, kind[1], models)
		}
	}
	return readKind(part, "", models)
}

func readAddedTokens(root *object) []AddedToken {
	if isNull(root.raw("added_tokens")) {
		return nil
	}
	var tokens []AddedToken
	for _, item := range root.list("added_tokens") {
		tokens = append(tokens, readAddedToken(item))
		item.int("id") // the reference numbers them anew
		item.done()
	}
	return tokens
}

func readAddedToken(item *object) AddedToken {
	return AddedToken{
		Content:    item.string("content"),
		SingleWord: item.bool("single_word"),
		LStrip:     item.bool("lstrip"),
		RStrip:     item.bool("rstrip"),
		Normalized: item.bool("normalized"),
		Special:    item.bool("special"),
	}
}
