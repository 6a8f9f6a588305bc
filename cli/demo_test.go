package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestDemoOfWriter runs the commands of the decoder's demo on the first lines of its data.
func TestDemoOfWriter(t *testing.T) {
	dir := t.TempDir()
	var out, messages bytes.Buffer
	app := newApp(Streams{Out: &out, Err: &messages})
	app.Command("demo").Action = func(c *cli.Context) error {
		d := &demo{c: c, dir: dir}
		if err := d.writeData(); err != nil {
			return err
		}
		shorten(t, dir)
		return d.write()
	}
	if err := app.RunContext(t.Context(), []string{"gopeft", "demo"}); err != nil {
		t.Fatalf("%v\n%s", err, &messages)
	}
	label := `(act|animal|artifact|body|communication|feeling|food|person|plant|substance)`
	for _, want := range []struct {
		lines string
		times int
	}{
		{`perplexity +[0-9.]+`, 2},              // of the decoder alone and with the soft prompt
		{`mcc +-?[0-9.]+`, 2},                   // of the template by hand and with trained tokens
		{`best perplexity +[0-9.]+ .*`, 1},      // of the first training
		{`best accuracy +[0-9.]+ .*`, 1},        // of the second
		{label + ` +0\.[0-9]+ .+`, demoAnswers}, // to the definitions in unseen.txt
	} {
		if found := regexp.MustCompile(`(?m)^`+want.lines+`$`).FindAllString(out.String(), -1); len(found) != want.times {
			t.Errorf("found %d lines of %s, want %d:\n%s", len(found), want.lines, want.times, &out)
		}
	}
	said := regexp.MustCompile(`The dictionary says: (` + label + `, ){7}` + label + `\.`)
	if !said.MatchString(messages.String()) {
		t.Errorf("found no answers of the dictionary in\n%s", &messages)
	}
}

// shorten leaves a few examples of the data.
func shorten(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.tsv"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfterN(string(text), "\n", 10)
		if err := os.WriteFile(path, []byte(strings.Join(lines[:9], "")), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
