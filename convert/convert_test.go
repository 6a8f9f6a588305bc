package convert_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/convert"
	"github.com/gopeft/gopeft/hfio"
)

const golden = "../compat_test/testdata/goldens/SEQ_CLS/prefix/adapter"

// Half the size, for another base.
func ExampleAdapter() {
	dir, err := os.MkdirTemp("", "adapter")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	err = convert.Adapter(hfio.Dir(golden), dir, &convert.Options{DType: hfio.BF16, BaseModel: "org/name"})
	if err != nil {
		log.Fatal(err)
	}
	a, err := hfio.OpenAdapter(hfio.Dir(dir), nil)
	if err != nil {
		log.Fatal(err)
	}
	prompt, _ := a.Tensor("prompt_embeddings")
	fmt.Println(a.Config.BaseModelNameOrPath, prompt.DType, prompt.Shape)
	// Output: org/name BF16 [3 48]
}

// A card that somebody wrote keeps everything but the name of the base in its header.
func TestModelCardIsKept(t *testing.T) {
	src := t.TempDir()
	if err := os.CopyFS(src, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	card := "---\nlibrary_name: peft\nbase_model: tiny-bert\ntags:\n- base_model:adapter:tiny-bert\n---\n\n# Mine\n\nbase_model: tiny-bert\n"
	if err := os.WriteFile(filepath.Join(src, "README.md"), []byte(card), 0o666); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "renamed")
	if err := convert.Adapter(hfio.Dir(src), dst, &convert.Options{BaseModel: "new"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dst, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.Replace(card, "base_model: tiny-bert", "base_model: new", 1), "adapter:tiny-bert", "adapter:new", 1)
	if string(got) != want {
		t.Errorf("the card is %q, want %q", got, want)
	}
}

// A source that is wrong leaves nothing behind.
func TestNothingIsHalfWritten(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "dst")
	if err := convert.Adapter(hfio.Dir("nowhere"), dst, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v, want os.ErrNotExist", err)
	}
	if _, err := os.Stat(dst); !os.IsNotExist(err) {
		t.Error("the destination was made")
	}
}

// An adapter that was published, of an old PEFT and in torch's format, fits what it says and
// comes out as the same bytes.
func TestPublishedAdapter(t *testing.T) {
	src := "../../shared/data/soft_prompts/peft_bloomz_560m"
	if _, err := os.Stat(src); err != nil {
		t.Skip("the folder shared/data is not beside the repository")
	}
	a, err := hfio.OpenAdapter(hfio.Dir(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range adapters.Validate(a, nil) {
		if f.Severity == adapters.Error {
			t.Error(f)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	dst := t.TempDir()
	if err := convert.Adapter(hfio.Dir(src), dst, &convert.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{hfio.AdapterConfigFile, hfio.AdapterTorchFile} {
		want, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dst, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the same bytes: %v", name, err)
		}
	}
}
