package hfio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The files of an adapter directory.
const (
	AdapterConfigFile  = "adapter_config.json"
	AdapterWeightsFile = "adapter_model.safetensors"
	AdapterTorchFile   = "adapter_model.bin"
	ReadmeFile         = "README.md"
	// InfoFile and StateFile hold what PEFT has no place for. Python ignores them.
	InfoFile  = "gopeft.json"
	StateFile = "gopeft_state.safetensors"
)

// WeightsFormat is the container of an adapter's weights.
type WeightsFormat int

const (
	// FormatSafeTensors is adapter_model.safetensors, PEFT's default.
	FormatSafeTensors WeightsFormat = iota
	// FormatTorch is adapter_model.bin, which PEFT wrote before 0.7.
	FormatTorch
)

// Adapter is a PEFT adapter directory.
type Adapter struct {
	Config   AdapterConfig
	Tensors  []Tensor
	Metadata map[string]string // of the safetensors file; nil: none
	Format   WeightsFormat
	Readme   []byte   // nil: none
	CardTags []string // of the model card that is made where there is none: see [ModelCard]

	// What gopeft keeps beside PEFT's files, opaque here; nil: none.
	Info  []byte       // gopeft.json
	State *SafeTensors // gopeft_state.safetensors

	files []func() error
}

// NewAdapter returns an adapter as PEFT would save it: safetensors with PEFT's metadata.
func NewAdapter(config AdapterConfig, tensors []Tensor) *Adapter {
	return &Adapter{Config: config, Tensors: tensors, Metadata: map[string]string{"format": "pt"}}
}

// OpenAdapter reads an adapter directory. Of two weights files safetensors counts,
// as in PEFT. The problems of all files are reported together. Close gives the
// mapped files back.
func OpenAdapter(fsys fs.FS, opts *OpenOptions) (*Adapter, error) {
	a := &Adapter{}
	configData, err := readText(fsys, AdapterConfigFile)
	var configErr error
	if err != nil {
		configErr = err
	} else {
		a.Config, configErr = ParseAdapterConfig(fileName(fsys, AdapterConfigFile), configData)
	}
	err = errors.Join(configErr, a.openWeights(fsys, opts), a.openSide(fsys, opts))
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

func (a *Adapter) openWeights(fsys fs.FS, opts *OpenOptions) error {
	switch {
	case exists(fsys, AdapterWeightsFile):
		file, err := OpenSafeTensors(fsys, AdapterWeightsFile, opts)
		if err != nil {
			return err
		}
		a.Tensors, a.Metadata, a.Format = file.Tensors, file.Metadata, FormatSafeTensors
		a.files = append(a.files, file.Close)
		return nil
	case exists(fsys, AdapterTorchFile):
		file, err := OpenTorch(fsys, AdapterTorchFile, opts)
		if err != nil {
			return err
		}
		a.Tensors, a.Format = file.Tensors, FormatTorch
		a.files = append(a.files, file.Close)
		return nil
	}
	return fmt.Errorf("%s: %w: want %s or %s", fileName(fsys, "."), ErrNotFound, AdapterWeightsFile, AdapterTorchFile)
}

func (a *Adapter) openSide(fsys fs.FS, opts *OpenOptions) error {
	var readmeErr, infoErr, stateErr error
	a.Readme, readmeErr = readOptional(fsys, ReadmeFile)
	a.Info, infoErr = readOptional(fsys, InfoFile)
	if exists(fsys, StateFile) {
		a.State, stateErr = OpenSafeTensors(fsys, StateFile, opts)
		a.files = append(a.files, a.State.Close)
	}
	return errors.Join(readmeErr, infoErr, stateErr)
}

// readOptional reads a file that may be absent: nil then.
func readOptional(fsys fs.FS, name string) ([]byte, error) {
	data, err := readText(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Tensor returns the tensor of that name.
func (a *Adapter) Tensor(name string) (Tensor, bool) {
	i := slices.IndexFunc(a.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return a.Tensors[i], true
}

// Close unmaps the files of an adapter that was opened; its tensors must not be
// used any more.
func (a *Adapter) Close() error {
	var found []error
	for _, closeFile := range a.files {
		found = append(found, closeFile())
	}
	a.files = nil
	return errors.Join(found...)
}

// WriteAdapter writes an adapter directory as PEFT's save_pretrained does, and
// makes the directory where needed. Each file is replaced in one step, the config
// last, so that a directory with a config has its weights.
//
// The model card is Readme; where that is nil, the one in the directory stays, and
// where there is none either, PEFT's default is made (see [ModelCard]). Files of an
// adapter that stood there before and would be taken for this one's (the other
// weights format, gopeft's side files) are removed.
func WriteAdapter(dir string, a *Adapter) error {
	files, err := a.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if a.Readme == nil && exists(os.DirFS(dir), ReadmeFile) {
		delete(files, ReadmeFile)
	}
	order := []string{AdapterWeightsFile, AdapterTorchFile, StateFile, InfoFile, ReadmeFile, AdapterConfigFile}
	for _, name := range order {
		if data, ok := files[name]; ok {
			if err := WriteFile(filepath.Join(dir, name), data); err != nil {
				return err
			}
		}
	}
	return removeStale(dir, files)
}

// encode returns the contents of the files to write.
func (a *Adapter) encode() (map[string][]byte, error) {
	files := map[string][]byte{}
	var weightsErr, stateErr, configErr error
	if a.Format == FormatTorch {
		files[AdapterTorchFile], weightsErr = EncodeTorch(a.Tensors)
	} else {
		files[AdapterWeightsFile], weightsErr = EncodeSafeTensors(a.Metadata, a.Tensors)
	}
	if a.State != nil {
		files[StateFile], stateErr = EncodeSafeTensors(a.State.Metadata, a.State.Tensors)
	}
	files[AdapterConfigFile], configErr = a.Config.Encode()
	files[ReadmeFile] = a.Readme
	if a.Readme == nil {
		files[ReadmeFile] = ModelCard(a.Config, a.CardTags...)
	}
	if a.Info != nil {
		files[InfoFile] = a.Info
	}
	return files, errors.Join(weightsErr, stateErr, configErr)
}

// removeStale removes what belongs to an older adapter of the same directory.
func removeStale(dir string, written map[string][]byte) error {
	for _, name := range []string{AdapterWeightsFile, AdapterTorchFile, StateFile, InfoFile} {
		if _, ok := written[name]; ok {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
