package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClassify runs the program with two adapters of the goldens.
func TestClassify(t *testing.T) {
	goldens := "../../compat_test/testdata/goldens/SEQ_CLS"
	base := t.TempDir()
	if err := os.CopyFS(base, os.DirFS(filepath.Join(goldens, "base"))); err != nil {
		t.Fatal(err)
	}
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz012345678", ""), "\n")
	if err := os.WriteFile(filepath.Join(base, "vocab.txt"), []byte(vocab+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	prompt, prefix := filepath.Join(goldens, "prompt", "adapter"), filepath.Join(goldens, "prefix", "adapter")
	out, err := exec.Command("go", "run", ".", base, prompt, prefix, "a b c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := regexp.MustCompile(`prompt/adapter: LABEL_\d \(0\.\d{3}\)\n.*prefix/adapter: LABEL_\d \(0\.\d{3}\)\n$`)
	if !want.Match(out) {
		t.Errorf("found %q, want a line for each adapter", out)
	}
}
