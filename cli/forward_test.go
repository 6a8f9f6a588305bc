package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/cli"
)

// TestForward compares what the command prints with what PEFT's models returned, for
// every base and adapter of the goldens. The goldens leave out the batch dimension.
func TestForward(t *testing.T) {
	inputs, err := filepath.Glob("../compat_test/testdata/goldens/*/forward.jsonl")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("found no goldens: %v", err)
	}
	adapters, _ := filepath.Glob("../compat_test/testdata/goldens/*/*/forward.jsonl")
	for _, expected := range append(inputs, adapters...) {
		dir := filepath.Dir(expected)
		task := dir
		args := []string{"gopeft", "forward", "--base", filepath.Join(dir, "base")}
		if _, err := os.Stat(filepath.Join(dir, "base")); err != nil {
			task = filepath.Dir(dir)
			args = []string{"gopeft", "forward", "--base", filepath.Join(task, "base"), "--adapter", filepath.Join(dir, "adapter")}
		}
		input := filepath.Join(dir, "input.jsonl")
		if _, err := os.Stat(input); err != nil {
			input = filepath.Join(task, "input.jsonl")
		}
		t.Run(strings.TrimPrefix(dir, "../compat_test/testdata/goldens/"), func(t *testing.T) {
			got := strings.Split(strings.TrimSpace(run(t, append(args, "--input", input))), "\n")
			data, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSpace(string(data)), "\n")
			if len(got) != len(want) {
				t.Fatalf("found %d lines, want %d", len(got), len(want))
			}
			for i := range want {
				compareOutputs(t, i, got[i], want[i])
			}
		})
	}
}

// run runs a command line that must succeed and returns what it prints.
func run(t *testing.T, args []string) string {
	t.Helper()
	var out, errs bytes.Buffer
	status := cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if status != cli.StatusOK {
		t.Fatalf("%s: status %d: %s", strings.Join(args, " "), status, errs.String())
	}
	return out.String()
}

func compareOutputs(t *testing.T, line int, got, want string) {
	t.Helper()
	var g, w map[string]any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	delete(w, "pooler_output")
	if len(g) != len(w) {
		t.Errorf("line %d: found keys of %s, want those of %s", line, got, want)
	}
	for key, value := range w {
		x, y := numbers(g[key]), numbers(value)
		if len(x) != len(y) {
			t.Errorf("line %d: %s has %d values, want %d", line, key, len(x), len(y))
			continue
		}
		for i := range y {
			if math.Abs(x[i]-y[i]) > 1e-5+1e-5*math.Abs(y[i]) {
				t.Errorf("line %d: %s[%d] = %v, want %v", line, key, i, x[i], y[i])
			}
		}
	}
}

// numbers lists the numbers of nested lists in order.
func numbers(value any) []float64 {
	switch v := value.(type) {
	case float64:
		return []float64{v}
	case []any:
		var all []float64
		for _, item := range v {
			all = append(all, numbers(item)...)
		}
		return all
	}
	return nil
}
