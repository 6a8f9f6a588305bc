package hfio

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// needSeeds fails a fuzz target whose committed seeds are gone: it would try
// nothing and pass.
func needSeeds(f *testing.F) {
	seeds, err := os.ReadDir(filepath.Join("testdata", "fuzz", f.Name()))
	if err != nil || len(seeds) < 5 {
		f.Fatalf("no seeds, run compat_test/oracle/hfio_fixtures.py: %d found, %v", len(seeds), err)
	}
}

func FuzzSafeTensors(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseSafeTensors("x", data)
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors {
			if err := tensor.Check(); err != nil {
				t.Fatal(err)
			}
			_, _ = tensor.Float32s()
		}
		encoded, err := EncodeSafeTensors(file.Metadata, file.Tensors)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseSafeTensors("x", encoded)
		if err != nil || len(again.Tensors) != len(file.Tensors) || fmt.Sprint(again.Metadata) != fmt.Sprint(file.Metadata) {
			t.Fatalf("written and read again: %v", err)
		}
		for _, want := range file.Tensors {
			got, ok := again.Tensor(want.Name)
			if !ok || got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("%q differs", want.Name)
			}
		}
	})
}

func FuzzTorch(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		// The input as a file, and as the pickle of a well-formed zip, which the
		// fuzzer would hardly find by itself.
		for _, file := range [][]byte{data, torchZipOf(string(data))} {
			tensors, err := parseTorch("x", file)
			if err != nil {
				continue
			}
			for _, tensor := range tensors {
				if err := tensor.Check(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := EncodeTorch(tensors); err != nil && torchWritable(tensors) {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
	})
}

func torchWritable(tensors []Tensor) bool {
	for _, t := range tensors {
		if torchStorageClass[t.DType] == "" {
			return false
		}
	}
	return true
}

func FuzzModelConfig(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := ParseModelConfig("x", data)
		if err != nil {
			return
		}
		r := config.Reader()
		r.Labels()
		for _, key := range config.Keys() {
			r.Int(key)
			r.Float(key)
			r.String(key)
			raw, _ := config.Raw(key)
			v, err := parseJSON("x", raw)
			if err != nil {
				t.Fatalf("%s is written as %s: %v", key, raw, err)
			}
			if again := appendPythonJSON(nil, &v, 0); !bytes.Equal(again, raw) {
				t.Fatalf("written twice: %s, %s", raw, again)
			}
		}
		_ = r.Err()
	})
}

func FuzzAdapterConfig(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := ParseAdapterConfig("x", data)
		if err != nil {
			return
		}
		text, err := config.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseAdapterConfig("x", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(text, twice) {
			t.Fatalf("written twice: %s, %s, %v", text, twice, err)
		}
		config.source = nil
		if _, err := config.Encode(); err != nil {
			t.Fatal(err)
		}
		ModelCard(config)
	})
}

func FuzzIndex(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		index, err := parseIndex("x", data)
		if err != nil {
			return
		}
		for file, tensors := range index {
			if file == "" || file[0] == '/' || bytes.Contains([]byte("/"+file+"/"), []byte("/../")) || len(tensors) == 0 {
				t.Fatalf("file %q of %d tensors", file, len(tensors))
			}
		}
	})
}

func FuzzGGUF(f *testing.F) {
	needSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseGGUF("x", data)
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors {
			if err := tensor.Check(); err != nil {
				t.Fatal(err)
			}
		}
		// As a model, and as one of every architecture.
		for name := range ggufArchitectures {
			file.Metadata["general.architecture"] = name
			c := &Checkpoint{tensors: map[string]Tensor{}, restored: map[string]func() Tensor{}}
			if c.readGGUF(file, "x") != nil {
				continue
			}
			for _, name := range c.Names() {
				tensor, err := c.Tensor(name)
				if err != nil || tensor.Check() != nil {
					t.Fatalf("%s: %v, %v", name, err, tensor.Check())
				}
			}
		}
	})
}
