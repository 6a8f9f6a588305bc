package hfio

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/edsrzf/mmap-go"
)

// The files of a model directory.
const (
	ModelConfigFile       = "config.json"
	ModelWeightsFile      = "model.safetensors"
	ModelWeightsIndexFile = "model.safetensors.index.json"
	ModelTorchFile        = "pytorch_model.bin"
	ModelTorchIndexFile   = "pytorch_model.bin.index.json"
)

// Checkpoint is a base model's directory: its config and its weights, which stay
// in the mapped files until they are used. It may be used from many goroutines at once.
type Checkpoint struct {
	Config ModelConfig

	dir      string
	tensors  map[string]Tensor
	aliases  map[string]string        // names that save_model dropped, to those it kept
	restored map[string]func() Tensor // tensors whose file holds them in another form
	files    []func() error
	mapped   []mmap.MMap // the memory of files that are mapped
}

// OpenModel opens a model directory: config.json, and as weights the first of
// model.safetensors, its shards, pytorch_model.bin and its shards, in the order
// transformers looks for them; or else the one GGUF file, which holds both. All
// problems of all files are reported together.
func OpenModel(fsys fs.FS, opts *OpenOptions) (*Checkpoint, error) {
	c := &Checkpoint{
		dir: fileName(fsys, "."), tensors: map[string]Tensor{}, aliases: map[string]string{}, restored: map[string]func() Tensor{},
	}
	if err := c.open(fsys, opts); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) open(fsys fs.FS, opts *OpenOptions) error {
	gguf, err := FindGGUF(fsys)
	if err != nil {
		return err
	}
	if gguf != "" {
		return c.openGGUF(fsys, gguf, opts)
	}
	c.Config, err = OpenConfig(fsys, ModelConfigFile)
	return errors.Join(err, c.openWeights(fsys, opts))
}

func (c *Checkpoint) openWeights(fsys fs.FS, opts *OpenOptions) error {
	switch {
	case exists(fsys, ModelWeightsFile):
		return c.openFile(fsys, ModelWeightsFile, c.openSafeTensors, opts)
	case exists(fsys, ModelWeightsIndexFile):
		return c.openShards(fsys, ModelWeightsIndexFile, c.openSafeTensors, opts)
	case exists(fsys, ModelTorchFile):
		return c.openFile(fsys, ModelTorchFile, c.openTorch, opts)
	case exists(fsys, ModelTorchIndexFile):
		return c.openShards(fsys, ModelTorchIndexFile, c.openTorch, opts)
	}
	return fmt.Errorf("%s: %w: want %s or %s, or one of their indexes, or a file *.gguf", c.dir, ErrNotFound, ModelWeightsFile, ModelTorchFile)
}

// opener reads a weights file and returns its tensors.
type opener func(fsys fs.FS, name string, opts *OpenOptions) ([]Tensor, error)

func (c *Checkpoint) openSafeTensors(fsys fs.FS, name string, opts *OpenOptions) ([]Tensor, error) {
	file, err := OpenSafeTensors(fsys, name, opts)
	if err != nil {
		return nil, err
	}
	c.hold(file.file, file.Close)
	// save_model of safetensors keeps one of several tensors that share memory and
	// notes "dropped name: kept name" in the metadata.
	for dropped, kept := range file.Metadata {
		if _, ok := file.Tensor(kept); ok {
			c.aliases[dropped] = kept
		}
	}
	return file.Tensors, nil
}

func (c *Checkpoint) openTorch(fsys fs.FS, name string, opts *OpenOptions) ([]Tensor, error) {
	file, err := OpenTorch(fsys, name, opts)
	if err != nil {
		return nil, err
	}
	c.hold(file.file, file.Close)
	return file.Tensors, nil
}

func (c *Checkpoint) openFile(fsys fs.FS, name string, open opener, opts *OpenOptions) error {
	tensors, err := open(fsys, name, opts)
	for _, t := range tensors {
		c.tensors[t.Name] = t
	}
	return err
}

// openShards opens the files that an index names. A tensor counts only in the file
// that the index gives for it.
func (c *Checkpoint) openShards(fsys fs.FS, name string, open opener, opts *OpenOptions) error {
	index, err := openIndex(fsys, name)
	if err != nil {
		return err
	}
	var found problems
	for _, shard := range slices.Sorted(maps.Keys(index)) {
		tensors, err := open(fsys, shard, opts)
		if err != nil {
			found.add(err)
			continue
		}
		inShard := make(map[string]Tensor, len(tensors))
		for _, t := range tensors {
			inShard[t.Name] = t
		}
		for _, tensor := range index[shard] {
			t, ok := inShard[tensor]
			if !ok {
				found.add(&TensorError{File: fileName(fsys, shard), Name: tensor, Err: fmt.Errorf("%w, though %s names it", ErrNotFound, name)})
				continue
			}
			c.tensors[tensor] = t
		}
	}
	return found.err()
}

// openIndex reads an index.json and returns the names of the tensors by file, sorted.
func openIndex(fsys fs.FS, name string) (map[string][]string, error) {
	data, err := readText(fsys, name)
	if err != nil {
		return nil, err
	}
	return parseIndex(fileName(fsys, name), data)
}

func parseIndex(file string, data []byte) (map[string][]string, error) {
	root, err := parseJSONObject(file, data)
	if err != nil {
		return nil, err
	}
	r := &ConfigReader{file: file, object: &root, found: &problems{}}
	files, ok := r.Sub("weight_map")
	if !ok && !r.Has("weight_map") {
		r.problem("weight_map", fmt.Errorf("%w: want an object of tensor to file", errMissing))
	}
	index := map[string][]string{}
	seen := map[string]bool{}
	for _, tensor := range files.Keys() {
		shard := files.String(tensor)
		if seen[tensor] {
			files.problem(tensor, fmt.Errorf("%w: the tensor is named twice", ErrFormat))
			continue
		}
		seen[tensor] = true
		if v, _ := files.object.get(tensor); v.kind == jsonString && (!fs.ValidPath(shard) || shard == ".") {
			files.Reject(tensor, "the name of a file in the same directory")
			continue
		}
		index[shard] = append(index[shard], tensor)
	}
	for _, tensors := range index {
		slices.Sort(tensors)
	}
	return index, r.Err()
}

// Dir returns the directory as it was given to [Dir]; "." for another file system.
func (c *Checkpoint) Dir() string { return c.dir }

// Names returns the names of all tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.tensors)) }

// Tensor returns a tensor, whose data is a view of the mapped file. A name that
// safetensors' save_model dropped gives the tensor it shared memory with. What a GGUF
// file holds in another form than transformers does is put right at the first call.
func (c *Checkpoint) Tensor(name string) (Tensor, error) {
	if restore, ok := c.restored[name]; ok {
		return restore(), nil
	}
	if t, ok := c.tensors[name]; ok {
		return t, nil
	}
	if t, ok := c.tensors[c.aliases[name]]; ok {
		t.Name = name
		return t, nil
	}
	return Tensor{}, &TensorError{File: c.dir, Name: name, Err: ErrNotFound}
}

// Close unmaps the files. No tensor of the checkpoint, nor a view of one, may be
// used any more.
func (c *Checkpoint) Close() error {
	var found []error
	for _, closeFile := range c.files {
		found = append(found, closeFile())
	}
	c.files, c.mapped = nil, nil
	return errors.Join(found...)
}
