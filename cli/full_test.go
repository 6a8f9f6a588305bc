package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopeft/gopeft/cli"
)

// Of full fine-tuning that has come to its end the model alone is kept, with and without a dev set. To go on
// with it does nothing more and changes no byte.
func TestFullKeepsNoMoments(t *testing.T) {
	base := tinyBase(t, "../compat_test/testdata/goldens/SEQ_CLS/base")
	data := filepath.Join(t.TempDir(), "train.tsv")
	if err := os.WriteFile(data, []byte("text\tlabel\na good film\tplus\na bad film\tminus\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string][]string{"last": nil, "best": {"--dev", data, "--metric", "loss"}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			train := func(more ...string) string {
				var out, errs bytes.Buffer
				args := append([]string{"gopeft", "train", "--full", "--base", base, "--data", data, "--num-train-epochs", "4", "--learning-rate", "0.1", "--output", dir}, more...)
				if status := cli.Run(context.Background(), args, cli.Streams{Out: &out, Err: &errs}); status != cli.StatusOK {
					t.Fatalf("status %d: %s", status, errs.String())
				}
				return errs.String()
			}
			train(more...)
			before := filesOf(t, dir)
			if state, model := len(before["gopeft_state.safetensors"]), len(before["model.safetensors"]); state == 0 || state > model/4 {
				t.Errorf("found a state of %d bytes, want one that holds no values: the model has %d", state, model)
			}
			if shown := train(append(more, "--resume")...); bytes.Contains([]byte(shown), []byte("step ")) {
				t.Errorf("a run that was over took a step: %s", shown)
			}
			for name, content := range filesOf(t, dir) {
				if content != before[name] {
					t.Errorf("%s: found other bytes", name)
				}
			}
		})
	}
}

func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}
