package hfio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// With returns the config with other values of some keys, as JSON.
func (c ModelConfig) With(values map[string]json.RawMessage) (ModelConfig, error) {
	root := c.root
	root.fields = slices.DeleteFunc(slices.Clone(c.root.fields), func(f jsonField) bool { _, ok := values[f.key]; return ok })
	for key, raw := range values {
		value, err := parseJSON(fmt.Sprintf("%s: field %q", c.File, key), raw)
		if err != nil {
			return ModelConfig{}, err
		}
		root.fields = append(root.fields, jsonField{key, value})
	}
	return ParseModelConfig(c.File, appendPythonJSON(nil, &root, 0))
}

// Encode returns the file as transformers writes it: sorted keys, indented by 2.
func (c ModelConfig) Encode() []byte { return append(appendPythonJSON(nil, &c.root, 0), '\n') }

// WriteModel writes a model directory as transformers' save_pretrained does: other files
// by name, those of the tokenizer, then model.safetensors and then config.json, so that a
// directory with a config is whole. A directory that holds a model already is left alone
// (fs.ErrExist).
func WriteModel(dir string, config ModelConfig, tensors []Tensor, others map[string][]byte) error {
	path := filepath.Join(dir, ModelConfigFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: want a directory without a model", path, fs.ErrExist)
	}
	weights, err := EncodeSafeTensors(map[string]string{"format": "pt"}, tensors)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if err := WriteFile(filepath.Join(dir, name), others[name]); err != nil {
			return err
		}
	}
	if err := WriteFile(filepath.Join(dir, ModelWeightsFile), weights); err != nil {
		return err
	}
	return WriteFile(path, config.Encode())
}
