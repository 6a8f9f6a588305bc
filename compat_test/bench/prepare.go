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
	"github.com/gopeft/gopeft/models"
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
	servers  map[string]*server // by OMP_WAIT_POLICY
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
	b := &bench{settings: s, versions: map[string]string{}, servers: map[string]*server{}}
	for i := range rows {
		if s.rows.MatchString(rows[i].name) && (rows[i].base != stories || s.stories != "") {
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
	switch name {
	case miniLM:
		return b.minilm
	case smolLM2:
		return b.smollm2
	}
	return filepath.Join(b.work, name)
}

// adapterDirs are the row's adapters, which differ by the seed that the oracle draws with.
func (b *bench) adapterDirs(r row) []string {
	if r.kind == tokenizing {
		return nil
	}
	dirs := make([]string, max(1, r.mixed))
	for i := range dirs {
		dirs[i] = filepath.Join(b.work, fmt.Sprintf("adapter-%s-%s-%d", r.base, r.method, i+1))
	}
	return dirs
}

// makeModels has the oracle make what is not there yet: PEFT's adapters with weights as
// after training, so that a mistake shows in the numbers.
func (b *bench) makeModels(ctx context.Context) error {
	commands := map[string][]string{}
	for _, p := range b.prepared {
		dir, task := b.baseDir(p.base), string(p.task())
		switch made := bases[p.base].made; {
		case exists(filepath.Join(dir, "model.safetensors")):
		case made != nil:
			commands["1 "+p.base] = append([]string{"make-base", dir, "--task", task}, made...)
		case p.base == stories:
			commands["1 "+p.base] = []string{"make-stories", b.stories, dir}
		}
		for i, adapter := range b.adapterDirs(p.row) {
			if exists(adapter + ".safetensors") {
				continue
			}
			command := []string{
				"make-adapter", "--base", dir, "--task", task, "--method", p.method, "--seed", fmt.Sprint(i + 1),
				"--n", fmt.Sprint(virtualTokens), "--out", adapter, "--state", adapter + ".safetensors",
			}
			if p.task() == models.SeqCls {
				command = append(command, "--num-labels", "2")
			}
			commands["2 "+adapter] = command
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
	var err error
	dir := b.baseDir(p.base)
	if p.sizes, err = sizesOf(dir); err != nil {
		return err
	}
	p.job = job{
		Kind: p.kind, Base: dir, Task: p.task(), Adapters: b.adapterDirs(p.row), Data: filepath.Join(b.work, p.name+".jsonl"),
		Warm: p.data.warm, BF16: p.bf16, Dropout: p.dropout, LearningRate: p.learningRate(), Threads: threads(),
	}
	if p.kind == training {
		p.job.Start = p.job.Adapters[0] + ".safetensors"
	}
	if p.kind == starting {
		p.job.Input = "a warm , funny , engaging film .\n"
		return nil
	}
	lines, err := b.batches(p)
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
func (b *bench) batches(p *prepared) ([]dataLine, error) {
	random := rand.New(rand.NewPCG(1, 2))
	d := p.data
	count := (d.warm + d.calls) * d.batch
	var examples []example
	var err error
	switch {
	case d.tokens == 0:
		examples, err = b.sentences(random, count, p.base)
	case p.task() == models.SeqCls:
		examples = randomExamples(random, count, d.tokens)
	default:
		examples = randomTexts(random, count, d.tokens, p.targets(), p.sizes.Vocab)
	}
	if err != nil {
		return nil, err
	}
	var lines []dataLine
	for batch := range slices.Chunk(examples, d.batch) {
		line := dataLine{Batch: batch, Written: d.written}
		if len(lines) < d.warm {
			line.Written = min(d.written, warmWritten)
		}
		for i := range batch {
			batch[i].Adapter = i * len(p.job.Adapters) / len(batch)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// randomExamples holds tokens of BERT's vocabulary that are words, between [CLS] and [SEP].
func randomExamples(random *rand.Rand, count, tokens int) []example {
	const cls, sep, firstWord, vocabulary = 101, 102, 1996, 30522
	list := make([]example, count)
	for i := range list {
		ids := randomIDs(random, tokens, firstWord, vocabulary)
		ids[0], ids[tokens-1] = cls, sep
		list[i] = example{IDs: ids, Class: random.IntN(2)}
	}
	return list
}

// randomTexts holds any tokens of a language model's vocabulary but the first three, which are
// special ones, and targets of as many tokens as are wanted.
func randomTexts(random *rand.Rand, count, tokens, targets, vocabulary int) []example {
	const firstWord = 3
	list := make([]example, count)
	for i := range list {
		list[i] = example{IDs: randomIDs(random, tokens, firstWord, vocabulary), Target: randomIDs(random, targets, firstWord, vocabulary)}
	}
	return list
}

func randomIDs(random *rand.Rand, count, from, to int) []int {
	ids := make([]int, count)
	for i := range ids {
		ids[i] = from + random.IntN(to-from)
	}
	return ids
}

// sentences draws examples of the text, as gopeft's tokenizer of the base encodes them.
func (b *bench) sentences(random *rand.Rand, count int, base string) ([]example, error) {
	read, err := train.ReadFile(b.text, nil)
	if err != nil {
		return nil, err
	}
	if len(read.Labels) != 2 || len(read.Examples) < count {
		return nil, fmt.Errorf("%s: found %d sentences with %d labels, want %d with 2", b.text, len(read.Examples), len(read.Labels), count)
	}
	tokenizer, err := tokenize.Load(hfio.Dir(b.baseDir(base)))
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
		list[i] = example{IDs: f.IDs, Class: f.Class, Text: chosen[i].Text}
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
