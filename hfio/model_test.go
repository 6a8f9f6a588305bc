package hfio

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestOpenModel opens one model of transformers in three layouts: all must hold
// the same tensors.
func TestOpenModel(t *testing.T) {
	whole, err := ParseSafeTensors("x", fixture(t, "models/single/model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"single", "sharded", "torch"} {
		for _, opts := range []*OpenOptions{nil, {NoMap: true}} {
			dir := filepath.Join("testdata", "models", layout)
			c, err := OpenModel(Dir(dir), opts)
			if err != nil {
				t.Fatal(err)
			}
			if c.Config.ModelType != "bert" || c.Config.Architectures[0] != "BertForSequenceClassification" || c.Dir() != dir {
				t.Errorf("%s: %+v in %s", layout, c.Config, c.Dir())
			}
			if len(c.Names()) != len(whole.Tensors) {
				t.Errorf("%s: %d tensors, want %d", layout, len(c.Names()), len(whole.Tensors))
			}
			for _, want := range whole.Tensors {
				got, err := c.Tensor(want.Name)
				if err != nil || got.DType != want.DType || !bytes.Equal(got.Data, want.Data) {
					t.Errorf("%s: %s differs, %v", layout, want.Name, err)
				}
			}
			var missing *TensorError
			if _, err := c.Tensor("nope"); !errors.Is(err, ErrNotFound) || !errors.As(err, &missing) || missing.Name != "nope" {
				t.Errorf("%s: err = %v", layout, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTiedTensorsAreFound(t *testing.T) {
	fsys := fstest.MapFS{
		ModelConfigFile:  {Data: []byte("{}")},
		ModelWeightsFile: {Data: fixture(t, "safetensors/tied.safetensors")},
	}
	c, err := OpenModel(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := c.Tensor("first.weight")
	second, err2 := c.Tensor("second.weight")
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(first.Data, second.Data) || second.Name != "second.weight" {
		t.Errorf("%v %v %v", first.Name, second.Name, err)
	}
}

func TestOpenModelReportsEverything(t *testing.T) {
	plain := fixture(t, "safetensors/plain.safetensors")
	fsys := fstest.MapFS{
		ModelConfigFile: {Data: []byte(`{"model_type": 3}`)},
		ModelWeightsIndexFile: {Data: []byte(`{"weight_map": {"w": "one.safetensors", "v": "one.safetensors",
			"u": "two.safetensors", "t": "three.safetensors"}}`)},
		"one.safetensors": {Data: plain},
		"two.safetensors": {Data: plain[:20]},
	}
	_, err := OpenModel(fsys, nil)
	for _, want := range []string{
		`config.json: field "model_type": found 3`, `one.safetensors: tensor "v": not found`,
		"two.safetensors: malformed file", "three.safetensors: file does not exist",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	_, err = OpenModel(fstest.MapFS{}, nil)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrNotFound) {
		t.Errorf("empty directory: err = %v", err)
	}
}

func TestWrongIndexes(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"none":      {`{}`, `"weight_map": missing`},
		"list":      {`{"weight_map": []}`, "want an object"},
		"number":    {`{"weight_map": {"w": 1}}`, `"weight_map.w": found 1, want a string`},
		"null":      {`{"weight_map": {"w": null}}`, `"weight_map.w": missing`},
		"outside":   {`{"weight_map": {"w": "../../etc/passwd"}}`, "want the name of a file"},
		"absolute":  {`{"weight_map": {"w": "/etc/passwd"}}`, "want the name of a file"},
		"directory": {`{"weight_map": {"w": "."}}`, "want the name of a file"},
		"empty":     {`{"weight_map": {"w": ""}}`, "want the name of a file"},
		"twice":     {`{"weight_map": {"w": "a", "w": "b"}}`, "named twice"},
	} {
		if _, err := parseIndex("index.json", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tt.want)
		}
	}
}

func TestDirNamesFilesOfSubdirectories(t *testing.T) {
	sub, err := fs.Sub(Dir("testdata"), "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenConfig(sub, ModelConfigFile)
	if want := filepath.Join("testdata", "nowhere", "config.json"); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
		t.Errorf("err = %v, want %s", err, want)
	}
	if _, err := fs.Sub(Dir("testdata"), "../x"); err == nil {
		t.Error("a path out of the directory is taken")
	}
}
