package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/simd/peak"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

// bench is a run of this command.
type bench struct {
	settings
	self     string // this program
	prepared []*prepared
	peak     peak.Rate // the most that was seen in any round
	loads    []float64
	versions map[string]string
}

// prepared is a row with its files and what was measured of it.
type prepared struct {
	row
	sizes   sizes
	job     job
	lengths []int // of every sequence of the timed calls

	expected  result  // of gopeft without dropout: what every run must compute
	apart     float64 // the greatest difference from it
	ours      *side
	theirs    []*side // Python with every policy that is still in the race
	operators []operatorTime
}

// prepare makes the bases, adapters and batches of the rows.
func prepare(ctx context.Context, s settings) (*bench, error) {
	b := &bench{settings: s, versions: map[string]string{}}
	for i := range rows {
		if s.rows.MatchString(rows[i].name) {
			b.prepared = append(b.prepared, &prepared{row: rows[i], ours: &side{}})
		}
	}
	if len(b.prepared) == 0 {
		return nil, fmt.Errorf("-rows: no row matches %q", s.rows)
	}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return nil, err
	}
	if err := b.makeModels(ctx); err != nil {
		return nil, err
	}
	for _, p := range b.prepared {
		if err := b.prepareRow(p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return b, nil
}

func (b *bench) baseDir(name string) string {
	if name == miniLM {
		return b.minilm
	}
	return filepath.Join(b.work, name)
}

func (b *bench) adapterDir(r row) string {
	return filepath.Join(b.work, "adapter-"+r.base+"-"+r.method)
}

// makeModels has the oracle make what is not there yet: PEFT's adapters with weights as
// after training, so that a mistake shows in the numbers.
func (b *bench) makeModels(ctx context.Context) error {
	commands := map[string][]string{}
	for _, p := range b.prepared {
		dir, adapter := b.baseDir(p.base), b.adapterDir(p.row)
		if !exists(filepath.Join(dir, "model.safetensors")) {
			commands["1 "+p.base] = append([]string{"make-base", dir}, bases[p.base]...)
		}
		if p.kind != tokenizing && !exists(adapter+".safetensors") {
			commands["2 "+adapter] = []string{
				"make-adapter", "--base", dir, "--task", "SEQ_CLS", "--num-labels", "2", "--method", p.method,
				"--n", fmt.Sprint(virtualTokens), "--out", adapter, "--state", adapter + ".safetensors",
			}
		}
	}
	if len(commands) == 0 {
		return nil
	}
	var input bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(commands)) { // bases first
		line, err := json.Marshal(commands[name])
		if err != nil {
			return err
		}
		input.Write(append(line, '\n'))
	}
	command := exec.CommandContext(ctx, b.python, filepath.Join(b.oracle, "oracle.py"), "batch")
	command.Stdin, command.Stderr = &input, os.Stderr
	output, err := command.Output()
	if err == nil && bytes.Contains(output, []byte(`"error"`)) {
		err = fmt.Errorf("%s", output)
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (b *bench) prepareRow(p *prepared) error {
	if b.quick {
		p.data = p.data.quick()
	}
	dir, adapter := b.baseDir(p.base), b.adapterDir(p.row)
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(config, &p.sizes); err != nil {
		return err
	}
	p.job = job{
		Kind: p.kind, Base: dir, Adapter: adapter, Start: adapter + ".safetensors", Data: filepath.Join(b.work, p.name+".jsonl"),
		Warm: p.data.warm, BF16: p.bf16, Dropout: p.dropout, LearningRate: p.learningRate(), Threads: threads(),
	}
	if p.kind == starting {
		p.job.Input = "a warm , funny , engaging film .\n"
		return nil
	}
	lines, err := b.batches(p.data)
	if err != nil {
		return err
	}
	for _, line := range lines[p.data.warm:] {
		for _, e := range line.Batch {
			p.lengths = append(p.lengths, len(e.IDs))
		}
	}
	return writeBatches(p.job.Data, lines)
}

// batches draws sequences of random tokens, or sentences of the text.
func (b *bench) batches(d data) ([]dataLine, error) {
	random := rand.New(rand.NewPCG(1, 2))
	count := (d.warm + d.calls) * d.batch
	var examples []example
	var err error
	if d.tokens == 0 {
		examples, err = b.sentences(random, count)
	} else {
		examples = randomExamples(random, count, d.tokens)
	}
	if err != nil {
		return nil, err
	}
	var lines []dataLine
	for batch := range slices.Chunk(examples, d.batch) {
		lines = append(lines, dataLine{batch})
	}
	return lines, nil
}

// randomExamples holds tokens of BERT's vocabulary that are words, between [CLS] and [SEP].
func randomExamples(random *rand.Rand, count, tokens int) []example {
	const cls, sep, firstWord, vocabulary = 101, 102, 1996, 30522
	list := make([]example, count)
	for i := range list {
		ids := make([]int, tokens)
		for t := range ids {
			ids[t] = firstWord + random.IntN(vocabulary-firstWord)
		}
		ids[0], ids[tokens-1] = cls, sep
		list[i] = example{IDs: ids, Class: random.IntN(2)}
	}
	return list
}

// sentences draws examples of the text, as gopeft's tokenizer encodes them.
func (b *bench) sentences(random *rand.Rand, count int) ([]example, error) {
	read, err := train.ReadFile(b.text, nil)
	if err != nil {
		return nil, err
	}
	if len(read.Labels) != 2 || len(read.Examples) < count {
		return nil, fmt.Errorf("%s: found %d sentences with %d labels, want %d with 2", b.text, len(read.Examples), len(read.Labels), count)
	}
	tokenizer, err := tokenize.Load(hfio.Dir(b.minilm))
	if err != nil {
		return nil, err
	}
	chosen := make([]train.Example, count)
	for i, at := range random.Perm(len(read.Examples))[:count] {
		chosen[i] = read.Examples[at]
	}
	features, err := train.Encode(tokenizer, chosen, train.EncodeOptions{Labels: read.Labels, MaxLength: 128})
	if err != nil {
		return nil, err
	}
	list := make([]example, count)
	for i, f := range features {
		list[i] = example{f.IDs, f.Class, chosen[i].Text}
	}
	return list, nil
}

func writeBatches(path string, lines []dataLine) error {
	var text strings.Builder
	for _, line := range lines {
		encoded, err := json.Marshal(line)
		if err != nil {
			return err
		}
		text.Write(append(encoded, '\n'))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
