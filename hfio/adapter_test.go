package hfio

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readDir returns the files of a directory.
func readDir(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return files
}

func sameFiles(t testing.TB, got, want map[string]string) {
	t.Helper()
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Errorf("files %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs:\n%.400q\nwant\n%.400q", name, got[name], want[name])
		}
	}
}

// TestAdapterRoundTripIsByteForByte opens every directory that PEFT saved and
// writes it again, once as it was and once with the model card made new.
func TestAdapterRoundTripIsByteForByte(t *testing.T) {
	for _, dir := range fixtureDirs(t, "adapters") {
		t.Run(dir, func(t *testing.T) {
			from := filepath.Join("testdata", filepath.FromSlash(dir))
			want := readDir(t, from)
			a, err := OpenAdapter(Dir(from), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if prompt, ok := a.Tensor("prompt_embeddings"); ok != a.Config.PeftType.IsPromptLearning() || ok && len(prompt.Shape) != 2 {
				t.Errorf("prompt_embeddings: %v %v", prompt.Shape, ok)
			}
			to := filepath.Join(t.TempDir(), "new", "adapter")
			if err := WriteAdapter(to, a); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, readDir(t, to), want)

			a.Readme = nil
			if strings.Contains(dir, "llama") {
				a.Readme = ModelCard(a.Config, "transformers")
			}
			if err := WriteAdapter(filepath.Join(to, "card"), a); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, readDir(t, filepath.Join(to, "card")), want)
		})
	}
}

func TestWriteAdapterKeepsSideFilesAndCard(t *testing.T) {
	a, err := OpenAdapter(Dir("testdata/adapters/prompt_bert_seq_cls"), &OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a.Info, a.Readme = []byte("{}"), []byte("mine")
	a.State = &SafeTensors{Tensors: []Tensor{NewFloat32("m", []int{1}, []float32{1})}}
	if err := WriteAdapter(dir, a); err != nil {
		t.Fatal(err)
	}
	first := readDir(t, dir)
	again, err := OpenAdapter(Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if m, ok := again.State.Tensor("m"); !ok || m.Size() != 1 || string(again.Info) != "{}" || string(again.Readme) != "mine" {
		t.Errorf("side files: %v %s %s", m, again.Info, again.Readme)
	}
	if err := WriteAdapter(dir, again); err != nil { // over the mapped files
		t.Fatal(err)
	}
	sameFiles(t, readDir(t, dir), first)

	// As a torch file without side files: nothing of the old ones may be left, the card stays.
	again.Format, again.Info, again.State, again.Readme = FormatTorch, nil, nil, nil
	if err := WriteAdapter(dir, again); err != nil {
		t.Fatal(err)
	}
	left := readDir(t, dir)
	if names := slices.Sorted(maps.Keys(left)); !slices.Equal(names, []string{ReadmeFile, AdapterConfigFile, AdapterTorchFile}) || left[ReadmeFile] != "mine" {
		t.Errorf("left %v, card %.20q", names, left[ReadmeFile])
	}
	torch, err := OpenAdapter(Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer torch.Close()
	for _, want := range a.Tensors {
		if got, _ := torch.Tensor(want.Name); !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s differs after safetensors → torch", want.Name)
		}
	}
}

func TestOpenAdapterPrefersSafeTensors(t *testing.T) {
	dir := t.TempDir()
	for name, from := range map[string]string{
		AdapterConfigFile: "prompt_bert_seq_cls", AdapterWeightsFile: "prompt_bert_seq_cls", AdapterTorchFile: "prompt_bert_bin",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), fixture(t, "adapters/"+from+"/"+name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	a, err := OpenAdapter(Dir(dir), nil)
	if err != nil || a.Format != FormatSafeTensors || a.Readme != nil {
		t.Errorf("format %v, err %v", a.Format, err)
	}
	a.Close()
}

func TestOpenAdapterReportsAllFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{AdapterConfigFile, AdapterWeightsFile, StateFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{\"a\":1}"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	_, err := OpenAdapter(Dir(dir), nil)
	for _, name := range []string{AdapterConfigFile, AdapterWeightsFile, StateFile} {
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("no %s in %v", name, err)
		}
	}
	_, err = OpenAdapter(Dir(filepath.Join(dir, "none")), nil)
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, ErrNotFound) {
		t.Errorf("no directory: err = %v", err)
	}
}

func TestWriteAdapterWritesNothingOfAWrongOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	a := NewAdapter(NewAdapterConfig(PromptTuning), []Tensor{{Name: "x", DType: "F33"}})
	if err := WriteAdapter(dir, a); !errors.Is(err, ErrDType) {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

func TestWriteFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := errors.Join(WriteFile(path, []byte("one")), WriteFile(path, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "d"), []byte("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if err := WriteFile(filepath.Join(dir, "none", "f"), []byte("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: err = %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, readDir(t, dir), map[string]string{"f": "two"})
	info, err := os.Stat(path)
	plain := filepath.Join(dir, "plain")
	if err := errors.Join(err, os.WriteFile(plain, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if want, _ := os.Stat(plain); info.Mode() != want.Mode() {
		t.Errorf("mode %v, want the umask's %v", info.Mode(), want.Mode())
	}
}
