package hfio

import (
	"encoding/json"
	"io/fs"
)

// ModelConfig is a base model's config.json. The two fields say which model it is;
// everything else is read through [ModelConfig.Reader].
type ModelConfig struct {
	File          string // as the user named it, for errors
	ModelType     string
	Architectures []string

	root jsonValue
}

// OpenConfig reads a config.json.
func OpenConfig(fsys fs.FS, name string) (ModelConfig, error) {
	data, err := readText(fsys, name)
	if err != nil {
		return ModelConfig{}, err
	}
	return ParseModelConfig(fileName(fsys, name), data)
}

// ParseModelConfig reads a config.json held in memory; file names it in errors.
func ParseModelConfig(file string, data []byte) (ModelConfig, error) {
	root, err := parseJSONObject(file, data)
	if err != nil {
		return ModelConfig{}, err
	}
	c := ModelConfig{File: file, root: root}
	r := c.Reader()
	c.ModelType = r.StringOr("model_type", "")
	c.Architectures = r.StringsOr("architectures", nil)
	return c, r.Err()
}

// Reader returns a reader that collects what is wrong in the config.
func (c ModelConfig) Reader() *ConfigReader {
	return &ConfigReader{file: c.File, object: &c.root, found: &problems{}}
}

// Raw returns the value of a top-level key as JSON (indented as Python does).
func (c ModelConfig) Raw(key string) (json.RawMessage, bool) {
	v, ok := c.root.get(key)
	if !ok {
		return nil, false
	}
	return appendPythonJSON(nil, v, 0), true
}

// Keys returns the top-level keys in the order of the file.
func (c ModelConfig) Keys() []string {
	keys := make([]string, len(c.root.fields))
	for i, f := range c.root.fields {
		keys[i] = f.key
	}
	return keys
}
