// Package convert rewrites PEFT adapter directories: from one weights format,
// dtype or base name to another. Start at [Adapter]. It never changes its source,
// and what it is not asked to change comes out as the same bytes.
package convert

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gopeft/gopeft/hfio"
)

// Options says what to change. The zero value changes nothing.
type Options struct {
	Format    Format     // KeepFormat: as it is
	DType     hfio.DType // of every floating-point tensor: F32, F16, BF16 or F64; "": as they are
	BaseModel string     // the new base_model_name_or_path; "": as it is
}

// Format is the container of the weights to write.
type Format int

// The containers.
const (
	KeepFormat Format = iota
	SafeTensors
	Torch // adapter_model.bin
)

// Adapter reads the adapter directory src and writes it to the directory dst,
// which it makes. What dst holds already is not replaced (fs.ErrExist). The model card is kept (with its base renamed where asked), or
// made as PEFT makes one where there is none.
func Adapter(src fs.FS, dst string, opts *Options) error {
	if opts == nil {
		opts = &Options{}
	}
	a, err := hfio.OpenAdapter(src, nil)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, name := range []string{hfio.AdapterConfigFile, hfio.ReadmeFile} {
		if _, err := os.Stat(filepath.Join(dst, name)); err == nil {
			return fmt.Errorf("%s: %w: want a directory without an adapter and a model card", filepath.Join(dst, name), fs.ErrExist)
		}
	}
	read := a.Format
	if err := change(a, opts); err != nil {
		return err
	}
	if err := hfio.WriteAdapter(dst, a); err != nil {
		return err
	}
	// JSON and pickles can say one thing in many ways: what is unchanged stays the bytes it was.
	if opts.BaseModel == "" {
		if err := copyFile(src, dst, hfio.AdapterConfigFile); err != nil {
			return err
		}
	}
	if a.Format != hfio.FormatTorch || read != hfio.FormatTorch || opts.DType != "" {
		return nil
	}
	return copyFile(src, dst, hfio.AdapterTorchFile)
}

func copyFile(src fs.FS, dst, name string) error {
	data, err := fs.ReadFile(src, name)
	if err != nil {
		return err
	}
	return hfio.WriteFile(filepath.Join(dst, name), data)
}

func change(a *hfio.Adapter, opts *Options) error {
	switch opts.Format {
	case SafeTensors:
		if a.Format == hfio.FormatTorch {
			a.Metadata = map[string]string{"format": "pt"}
		}
		a.Format = hfio.FormatSafeTensors
	case Torch:
		a.Format = hfio.FormatTorch
	}
	if opts.DType != "" {
		for i, t := range a.Tensors {
			if !isFloat(t.DType) {
				continue
			}
			converted, err := t.Convert(opts.DType)
			if err != nil {
				return err
			}
			a.Tensors[i] = converted
		}
	}
	if opts.BaseModel != "" {
		renameBase(a, opts.BaseModel)
	}
	return nil
}

func isFloat(dtype hfio.DType) bool {
	switch dtype {
	case hfio.F64, hfio.F32, hfio.F16, hfio.BF16:
		return true
	}
	return false
}

// renameBase gives the adapter another base, in its config and in the header of
// its model card.
func renameBase(a *hfio.Adapter, name string) {
	old := a.Config.BaseModelNameOrPath
	card := a.Readme
	made := card != nil && bytes.Equal(card, hfio.ModelCard(a.Config))
	a.Config.BaseModelNameOrPath = name
	if made {
		a.Readme = hfio.ModelCard(a.Config)
	} else if card != nil && old != "" {
		a.Readme = renameInHeader(card, old, name)
	}
}

// renameInHeader renames the base in the YAML header of a model card: the value of
// base_model and the tag base_model:adapter:NAME.
func renameInHeader(card []byte, old, name string) []byte {
	text := string(card)
	header, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "\n---")
	if !ok || !strings.HasPrefix(text, "---\n") {
		return card
	}
	lines := strings.Split(header, "\n")
	for i, line := range lines {
		for _, key := range []string{"base_model: ", "- base_model:adapter:"} {
			if line == key+old {
				lines[i] = key + name
			}
		}
	}
	return []byte("---\n" + strings.Join(lines, "\n") + "\n---" + body)
}
