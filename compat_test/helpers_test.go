// Package compat_test compares gopeft with Hugging Face PEFT, transformers and
// torch: first against numbers of theirs that are committed under testdata/goldens, then,
// where GOPEFT_ORACLE_PYTHON names a Python with the pinned versions, against
// Python itself on freshly made models and adapters. README.md says how to run both.
//
// Letters in the comments: T tokens, P virtual tokens, C scores, d hidden size.
package compat_test

import (
	"bufio"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// The project's bars: for outputs and losses; for gradients, whose absolute part is
// small since gradients are; and for parameters after ten AdamW steps.
const (
	outputRTol, outputATol     = 1e-5, 1e-5
	gradientRTol, gradientATol = 1e-4, 1e-6
	stepRTol, stepATol         = 0, 1e-4
)

// example is a line of an input file of the oracle: one unpadded sequence.
type example struct {
	IDs     []int           `json:"input_ids"`
	TypeIDs []int           `json:"token_type_ids,omitempty"`
	TaskID  int             `json:"task_ids,omitempty"`
	Decoder []int           `json:"decoder_input_ids,omitempty"`
	Labels  json.RawMessage `json:"labels,omitempty"`
	Start   *int            `json:"start_positions,omitempty"`
	End     *int            `json:"end_positions,omitempty"`
}

// answer is what a model returned for one sequence: transformers' names, and the
// numbers of each tensor row by row.
type answer map[string][]float64

// forward is the method of that name of a base, an adapter's model or a frozen one.
type forward func(models.Batch) (mat.Tensor, models.Output, error)

// tuned is what is needed to ask a model: what runs it and how its loss is made.
type tuned struct {
	forward     forward
	task        models.Task
	problemType string
	shift       func(labels []int) []int // of an encoder-decoder: its decoder's ids
	context     adapters.Context         // what is learnt of virtual tokens
}

// of returns the same with what is learnt of an adapter's virtual tokens.
func (m tuned) of(adapter adapters.Adapter) tuned {
	if contextual, ok := adapter.(adapters.Contextual); ok {
		m.context = contextual.Context()
	}
	return m
}

// next gives all rows of a causal language model the tokens that they are to say, and the weights of
// these.
func (m tuned) next(out models.Output, wanted models.Labels) models.Labels {
	wanted.Tokens = models.ShiftLabels(out, wanted.Tokens)
	for i, classes := range wanted.Tokens {
		weights := slices.Repeat([]float32{1}, len(classes))
		for token, label := range m.context.Labels {
			if token > 0 {
				classes[token-1], weights[token-1] = label, m.context.Weights[token]
			}
		}
		wanted.Weights = append(wanted.Weights, weights)
		if len(classes) != out.Spans[i].End-out.Spans[i].Start {
			panic("labels of other rows")
		}
	}
	return wanted
}

// readLines decodes a file of JSON lines.
func readLines[Line any](t testing.TB, path string) []Line {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []Line
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<26)
	for scanner.Scan() {
		var line Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%s: line %d: %v", path, len(lines)+1, err)
		}
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil || len(lines) == 0 {
		t.Fatalf("%s: %d lines, %v", path, len(lines), err)
	}
	return lines
}

func writeLines[Line any](t testing.TB, path string, lines []Line) {
	t.Helper()
	var data []byte
	for _, line := range lines {
		encoded, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		data = append(append(data, encoded...), '\n')
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// readAnswers reads an output file of the oracle.
func readAnswers(t testing.TB, path string) []answer {
	t.Helper()
	var answers []answer
	for _, line := range readLines[map[string]any](t, path) {
		a := answer{}
		for name, value := range line {
			a[name] = flatten(nil, value)
		}
		answers = append(answers, a)
	}
	return answers
}

// flatten appends the numbers of nested lists.
func flatten(numbers []float64, value any) []float64 {
	switch value := value.(type) {
	case float64:
		return append(numbers, value)
	case []any:
		for _, v := range value {
			numbers = flatten(numbers, v)
		}
	}
	return numbers
}

// openBase loads a model directory with the head of a task. Labels gives the number
// of scores of a head that is to be drawn anew; 0: the head of the checkpoint.
func openBase(t testing.TB, dir string, spec models.HeadSpec, labels int) *models.Model {
	t.Helper()
	options := &auto.Options{Task: spec.Task, ProblemType: spec.ProblemType, ModulesToSave: spec.ModulesToSave}
	if labels > 0 {
		options.Labels = make([]string, labels)
		options.Rand = seeded(99)
	}
	model, base, err := auto.Load(hfio.Dir(dir), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := base.Close(); err != nil {
			t.Error(err)
		}
	})
	return model
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// compareForward asks the model each example alone, with its loss, and then all of
// them as one ragged batch, and wants Python's answers. rounding, if given, is how far torch's
// own float32 is from an example's answer: where that is ill-conditioned, gopeft may be as far on the other side.
func compareForward(t *testing.T, m tuned, examples []example, want []answer, rounding ...float64) {
	t.Helper()
	atol := func(i int) float64 {
		if i < len(rounding) {
			return max(outputATol, 2*rounding[i])
		}
		return outputATol
	}
	if len(want) != len(examples) {
		t.Fatalf("%d answers of Python for %d examples", len(want), len(examples))
	}
	worst := 0.0
	for i, e := range examples {
		logits, out, err := m.forward(models.Batch{Sequences: m.sequences(e)})
		if err != nil {
			t.Fatalf("sequence %d: %v", i, err)
		}
		got := answers(m.task, logits, out)[0]
		worst = max(worst, compareAnswer(t, i, got, want[i], atol(i)))
		if loss, ok := want[i]["loss"]; ok {
			wanted := labels(t, m, e)
			switch m.task {
			case models.CausalLM:
				wanted = m.next(out, wanted)
			case models.Seq2SeqLM:
				wanted.Tokens = withVirtual(out, wanted.Tokens)
			}
			got, err := models.Loss(m.task, m.problemType, logits, out, wanted)
			if err != nil {
				t.Fatalf("loss of sequence %d: %v", i, err)
			}
			worst = max(worst, closeTo(t, "loss", models.Values(got), loss, outputRTol, atol(i)))
		}
	}
	logits, out, err := m.forward(models.Batch{Sequences: m.sequences(examples...)})
	if err != nil {
		t.Fatalf("all sequences in one batch: %v", err)
	}
	for i, got := range answers(m.task, logits, out) {
		worst = max(worst, compareAnswer(t, i, got, want[i], atol(i)))
	}
	t.Logf("outputs: greatest difference %.2g", worst)
}

// compareAnswer compares every tensor that gopeft returns and gives the greatest difference.
func compareAnswer(t *testing.T, number int, got, want answer, atol float64) float64 {
	t.Helper()
	worst := 0.0
	for name, values := range got {
		worst = max(worst, closeTo(t, name, values, want[name], outputRTol, atol))
		if math.IsInf(worst, 1) {
			t.Fatalf("that was sequence %d", number)
		}
	}
	return worst
}

// closeTo is numtest.Close with a name; it returns the greatest difference.
func closeTo[G, W numtest.Float](t *testing.T, name string, got []G, want []W, rtol, atol float64) float64 {
	t.Helper()
	if !numtest.Close(t, got, want, rtol, atol) {
		t.Errorf("that was %s", name)
		return math.Inf(1)
	}
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
	}
	return worst
}

func (m tuned) sequences(examples ...example) []models.Sequence {
	list := make([]models.Sequence, len(examples))
	for i, e := range examples {
		list[i] = models.Sequence{IDs: e.IDs, TypeIDs: e.TypeIDs, TaskID: e.TaskID, DecoderIDs: e.Decoder}
		if m.task == models.Seq2SeqLM {
			list[i].DecoderIDs = m.shift(e.targets())
		}
	}
	return list
}

// answers cuts a batch's outputs into those of its sequences.
func answers(task models.Task, logits mat.Tensor, out models.Output) []answer {
	list := make([]answer, len(out.Spans))
	for i, span := range out.Spans {
		switch task {
		case models.SeqCls:
			list[i] = answer{"logits": rows(logits, i, i+1)}
		case models.QuestionAns:
			both := rows(logits, span.Start, span.End)
			list[i] = answer{"start_logits": every(2, both), "end_logits": every(2, both[1:])}
		case models.FeatureExtraction:
			list[i] = answer{"last_hidden_state": rows(out.Hidden, span.Start, span.End)}
		default:
			list[i] = answer{"logits": rows(logits, span.Start, span.End)}
		}
	}
	return list
}

func rows(x mat.Tensor, from, to int) []float64 {
	columns := x.Shape()[1]
	return numtest.Wide(models.Values(x)[from*columns : to*columns])
}

// every returns the first of each n values.
func every(n int, values []float64) []float64 {
	var kept []float64
	for i := 0; i < len(values); i += n {
		kept = append(kept, values[i])
	}
	return kept
}

// targets are the labels of an encoder-decoder's language model.
func (e example) targets() (ids []int) {
	if err := json.Unmarshal(e.Labels, &ids); err != nil {
		panic(err)
	}
	return ids
}

// withVirtual gives the virtual tokens' rows no class.
func withVirtual(out models.Output, tokens [][]int) [][]int {
	all := make([][]int, len(tokens))
	for i := range tokens {
		all[i] = append(slices.Repeat([]int{models.Ignored}, out.Spans[i].Prompt), tokens[i]...)
	}
	return all
}

// labels reads the labels of examples as the task needs them.
func labels(t testing.TB, m tuned, examples ...example) models.Labels {
	t.Helper()
	var l models.Labels
	for _, e := range examples {
		switch {
		case m.task == models.QuestionAns:
			l.Starts, l.Ends = append(l.Starts, *e.Start), append(l.Ends, *e.End)
		case m.task != models.SeqCls:
			l.Tokens = append(l.Tokens, decode[[]int](t, e.Labels))
		case m.problemType == models.MultiLabel:
			l.Values = append(l.Values, decode[[]float32](t, e.Labels))
		case m.problemType == models.Regression:
			l.Values = append(l.Values, []float32{decode[float32](t, e.Labels)})
		default:
			l.Classes = append(l.Classes, decode[int](t, e.Labels))
		}
	}
	return l
}

func decode[Value any](t testing.TB, raw json.RawMessage) Value {
	t.Helper()
	var value Value
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("labels %s: %v", raw, err)
	}
	return value
}

// openAdapter opens an adapter directory for the time of the test.
func openAdapter(t testing.TB, dir string) *hfio.Adapter {
	t.Helper()
	file, err := hfio.OpenAdapter(hfio.Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// openTensors reads a safetensors file whole.
func openTensors(t testing.TB, path string) *hfio.SafeTensors {
	t.Helper()
	file, err := hfio.OpenSafeTensors(hfio.Dir(filepath.Dir(path)), filepath.Base(path), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// floats returns the values of a tensor that must be there.
func floats(t testing.TB, file *hfio.SafeTensors, name string) []float32 {
	t.Helper()
	tensor, ok := file.Tensor(name)
	if !ok {
		t.Fatalf("Python's file has no tensor %s", name)
	}
	values, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// sameFiles wants a directory with exactly the files of another one, byte for byte.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	files := readDir(t, got)
	for name, data := range readDir(t, want) {
		own, ok := files[name]
		if !ok {
			t.Errorf("%s was not written", name)
		} else if own != data {
			t.Errorf("%s differs: %d bytes, want %d", name, len(own), len(data))
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("%s was written, and PEFT has no such file", name)
	}
}

func readDir(t *testing.T, dir string) map[string]string {
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
