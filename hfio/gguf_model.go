package hfio

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// FindGGUF returns the name of the GGUF file that a model directory's weights are in,
// "" if they are in other files or there is none. Several are an error.
func FindGGUF(fsys fs.FS) (string, error) {
	for _, name := range []string{ModelWeightsFile, ModelWeightsIndexFile, ModelTorchFile, ModelTorchIndexFile} {
		if exists(fsys, name) {
			return "", nil
		}
	}
	names, err := fs.Glob(fsys, "*.gguf")
	if err != nil || len(names) == 0 {
		return "", err
	}
	if len(names) > 1 {
		return "", fmt.Errorf("%s: %w: it holds %d models, want one, or the path of one: %s",
			fileName(fsys, "."), ErrUnsupported, len(names), strings.Join(names, ", "))
	}
	return names[0], nil
}

// openGGUF opens a model in one file: its tensors get transformers' names and form.
func (c *Checkpoint) openGGUF(fsys fs.FS, name string, opts *OpenOptions) error {
	file, err := OpenGGUF(fsys, name, opts)
	if err != nil {
		return err
	}
	c.hold(file.file, file.Close)
	return c.readGGUF(file, fileName(fsys, name))
}

func (c *Checkpoint) readGGUF(file *GGUF, name string) error {
	config := &ggufConfig{file: file, name: name, values: map[string]any{}, read: map[string]bool{}, used: map[string]bool{}}
	architecture, err := config.architecture()
	if err != nil {
		return err
	}
	model, configErr := architecture.configOf(config)
	c.Config = model
	var found problems
	for _, t := range file.Tensors {
		found.add(c.addGGUF(t, architecture, config))
	}
	return errors.Join(configErr, found.err())
}

// architecture finds the file's architecture.
func (c *ggufConfig) architecture() (*ggufArchitecture, error) {
	const key = "general.architecture"
	value := c.file.Metadata[key]
	c.arch, _ = value.(string)
	architecture, known := ggufArchitectures[c.arch]
	if !known {
		return nil, &FieldError{c.name, key, &Mismatch{
			shortValue(value), "one of " + strings.Join(slices.Sorted(maps.Keys(ggufArchitectures)), ", "), ErrUnsupported,
		}}
	}
	if n, ok := c.file.Metadata["split.count"].(int64); ok && n > 1 {
		return nil, fmt.Errorf("%s: %w: one of %d parts of a model, want them merged (llama-gguf-split --merge)", c.name, ErrUnsupported, n)
	}
	return &architecture, nil
}

// addGGUF takes a tensor under transformers' name.
func (c *Checkpoint) addGGUF(t Tensor, a *ggufArchitecture, config *ggufConfig) error {
	name, key, ok := a.name(t.Name)
	if !ok {
		if config.used[t.Name] {
			return nil
		}
		return &TensorError{File: config.name, Name: t.Name, Err: fmt.Errorf("%w: nothing is known of it", ErrUnsupported)}
	}
	stored := t.Name
	t.Name = name
	c.tensors[name] = t
	if a.restore == nil {
		return nil
	}
	restored, err := a.restore(key, t, config)
	if err != nil {
		return &TensorError{File: config.name, Name: stored, Err: err}
	}
	if restored != nil {
		c.restored[name] = sync.OnceValue(restored)
	}
	return nil
}
