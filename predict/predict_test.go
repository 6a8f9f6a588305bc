package predict_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
)

const goldens = "../compat_test/testdata/goldens"

// openTask opens the golden base of a task with a vocabulary of its 40 tokens, and a
// golden adapter on it.
func openTask(t testing.TB, task, method string) *predict.Predictor {
	t.Helper()
	return openDir(t, task, hfio.Dir(filepath.Join(goldens, task, method, "adapter")))
}

// openDir opens an adapter's directory on the golden base of a task.
func openDir(t testing.TB, task string, adapter fs.FS) *predict.Predictor {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(goldens, task, "base"))); err != nil {
		t.Fatal(err)
	}
	vocab := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for letter := 'a'; letter <= 'z'; letter++ {
		vocab = append(vocab, string(letter))
	}
	for digit := range 9 {
		vocab = append(vocab, fmt.Sprint(digit))
	}
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(vocab, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	base, err := predict.OpenBase(hfio.Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = base.Close() })
	p, err := base.Adapter(adapter)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ids are the tokens of a text whose words are single letters.
func ids(words ...string) []int {
	list := []int{2}
	for _, w := range words {
		list = append(list, 5+int(w[0]-'a'))
	}
	return append(list, 3)
}

// Classify is the softmax of what Forward returns for the tokens of the text, which
// compat_test compares with PEFT.
func TestClassify(t *testing.T) {
	for _, method := range []string{"prompt", "ptuning-lstm", "prefix"} {
		p := openTask(t, "SEQ_CLS", method)
		answers, err := p.Classify(context.Background(), []predict.Text{{Text: "a b c"}, {Text: "x y", Pair: "z"}})
		if err != nil {
			t.Fatal(err)
		}
		pair := append(ids("x", "y"), 5+25, 3)
		for i, in := range []predict.TokenInput{
			{InputIDs: ids("a", "b", "c")},
			{InputIDs: pair, TokenTypeIDs: []int{0, 0, 0, 0, 1, 1}},
		} {
			out, err := p.Forward(in)
			if err != nil {
				t.Fatal(err)
			}
			logits := out.Logits.([][]float32)[0]
			sum := 0.0
			for _, v := range logits {
				sum += math.Exp(float64(v))
			}
			for l, v := range logits {
				if want := math.Exp(float64(v)) / sum; math.Abs(answers[i].Scores[l]-want) > 1e-6 {
					t.Errorf("%s: text %d: score %d is %v, want %v", method, i, l, answers[i].Scores[l], want)
				}
				if answers[i].Scores[l] > answers[i].Score {
					t.Errorf("%s: text %d: the label is not that of the highest score", method, i)
				}
			}
		}
	}
}

func TestOtherProblems(t *testing.T) {
	regression := openTask(t, "SEQ_CLS-regression", "prefix")
	answers, err := regression.Classify(context.Background(), []predict.Text{{Text: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := regression.Forward(predict.TokenInput{InputIDs: ids("a")})
	if err != nil {
		t.Fatal(err)
	}
	if want := out.Logits.([][]float32)[0][0]; float32(answers[0].Score) != want || answers[0].Label != "" {
		t.Errorf("regression: found %+v, want the value %v and no label", answers[0], want)
	}
	several := openTask(t, "SEQ_CLS-multi-label", "prefix")
	answers, err = several.Classify(context.Background(), []predict.Text{{Text: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err = several.Forward(predict.TokenInput{InputIDs: ids("a")})
	if err != nil {
		t.Fatal(err)
	}
	for l, v := range out.Logits.([][]float32)[0] {
		if want := 1 / (1 + math.Exp(-float64(v))); math.Abs(answers[0].Scores[l]-want) > 1e-6 {
			t.Errorf("several labels: score %d is %v, want %v", l, answers[0].Scores[l], want)
		}
		if got := slices.Contains(answers[0].Labels, several.Labels[l]); got != (v > 0) {
			t.Errorf("several labels: %s is chosen: %v, its logit is %v", several.Labels[l], got, v)
		}
	}
}

// A word's tag is that of its row, the rows of virtual tokens left out.
func TestTag(t *testing.T) {
	for _, method := range []string{"prompt", "prefix"} {
		p := openTask(t, "TOKEN_CLS", method)
		words := []string{"q", "w", "e"}
		answers, err := p.Tag(context.Background(), [][]string{words})
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Forward(predict.TokenInput{InputIDs: ids(words...)})
		if err != nil {
			t.Fatal(err)
		}
		rows := out.Logits.([][][]float32)[0]
		rows = rows[len(rows)-len(words)-1 : len(rows)-1] // before the last, [SEP]
		for w, row := range rows {
			best := 0
			for l, v := range row {
				if v > row[best] {
					best = l
				}
			}
			if answers[0][w].Label != p.Labels[best] {
				t.Errorf("%s: word %d: tag %s, want %s", method, w, answers[0][w].Label, p.Labels[best])
			}
		}
	}
}

// An answer lies in the context, and its score is the best sum of a start and an end.
func TestAnswer(t *testing.T) {
	for _, method := range []string{"prompt", "prefix"} {
		p := openTask(t, "QUESTION_ANS", method)
		q := predict.Question{Question: "a b", Context: "c d e f"}
		answers, err := p.Answer(context.Background(), []predict.Question{q})
		if err != nil {
			t.Fatal(err)
		}
		input := append(ids("a", "b"), append(ids("c", "d", "e", "f")[1:5:5], 3)...)
		out, err := p.Forward(predict.TokenInput{InputIDs: input})
		if err != nil {
			t.Fatal(err)
		}
		starts, ends := out.StartLogits[0], out.EndLogits[0]
		first := len(starts) - len(input) + 4 // the row of "c"
		best := math.Inf(-1)
		for s := first; s < first+4; s++ {
			for e := s; e < first+4; e++ {
				best = max(best, float64(starts[s])+float64(ends[e]))
			}
		}
		got := answers[0]
		if math.Abs(got.Score-best) > 1e-5 {
			t.Errorf("%s: score %v, want %v", method, got.Score, best)
		}
		if q.Context[got.Start:got.End] != got.Text || got.Text == "" {
			t.Errorf("%s: answer %+v is not in the context", method, got)
		}
	}
}

// A text of exactly MaxLength tokens is whole, one of more is cut.
func TestTruncated(t *testing.T) {
	p := openTask(t, "SEQ_CLS", "prompt")
	fits := strings.Repeat("a ", p.MaxLength-2)
	answers, err := p.Classify(context.Background(), []predict.Text{{Text: "a"}, {Text: fits + "b"}, {Text: fits}, {Text: fits, Pair: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false, true} {
		if answers[i].Truncated != want {
			t.Errorf("text %d: truncated is %v, want %v", i, answers[i].Truncated, want)
		}
	}
	if !reflect.DeepEqual(answers[1].Scores, answers[2].Scores) {
		t.Error("the text that is cut has other scores than what is left of it")
	}
}

// Scores that are not numbers are an error of every task.
func TestNotFinite(t *testing.T) {
	ctx := context.Background()
	for task, answer := range map[string]func(*predict.Predictor) error{
		"SEQ_CLS":             func(p *predict.Predictor) error { _, err := p.Classify(ctx, []predict.Text{{Text: "a"}}); return err },
		"SEQ_CLS-multi-label": func(p *predict.Predictor) error { _, err := p.Classify(ctx, []predict.Text{{Text: "a"}}); return err },
		"TOKEN_CLS":           func(p *predict.Predictor) error { _, err := p.Tag(ctx, [][]string{{"a"}}); return err },
		"QUESTION_ANS":        func(p *predict.Predictor) error { _, err := p.Answer(ctx, []predict.Question{{"a", "b"}}); return err },
	} {
		if err := answer(withNaN(t, task)); !errors.Is(err, predict.ErrNotFinite) {
			t.Errorf("%s: found %v, want ErrNotFinite", task, err)
		}
	}
}

// withNaN opens a task with a prefix whose first number is NaN.
func withNaN(t *testing.T, task string) *predict.Predictor {
	t.Helper()
	a, err := hfio.OpenAdapter(hfio.Dir(filepath.Join(goldens, task, "prefix", "adapter")), &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	prompt, _ := a.Tensor("prompt_embeddings")
	binary.LittleEndian.PutUint32(prompt.Data, math.Float32bits(float32(math.NaN())))
	dir := t.TempDir()
	if err := errors.Join(hfio.WriteAdapter(dir, a), a.Close()); err != nil {
		t.Fatal(err)
	}
	return openDir(t, task, hfio.Dir(dir))
}

func TestWrongTask(t *testing.T) {
	p := openTask(t, "TOKEN_CLS", "prefix")
	if _, err := p.Classify(context.Background(), []predict.Text{{Text: "a"}}); !errors.Is(err, predict.ErrTask) {
		t.Errorf("found %v, want ErrTask", err)
	}
	if _, err := p.Forward(predict.TokenInput{}); err == nil || !strings.Contains(err.Error(), "input_ids") {
		t.Errorf("found %v, want an error of input_ids", err)
	}
	if _, err := p.Forward(predict.TokenInput{InputIDs: []int{99}}); !errors.Is(err, models.ErrTokenID) {
		t.Errorf("found %v, want ErrTokenID", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Tag(cancelled, [][]string{{"a"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, want context.Canceled", err)
	}
}

// One predictor answers from many goroutines as from one.
func TestConcurrent(t *testing.T) {
	p := openTask(t, "SEQ_CLS", "prefix-projection")
	texts := []predict.Text{{Text: "a b"}, {Text: "c"}, {Text: "d e f g"}}
	want, err := p.Classify(context.Background(), texts)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 5 {
				got, err := p.Classify(context.Background(), texts)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("found %v, %v, want %v", got, err, want)
					return
				}
			}
		})
	}
	wait.Wait()
}

// The span of an answer is given as labels or as positions.
func TestForwardSpan(t *testing.T) {
	p := openTask(t, "QUESTION_ANS", "prefix")
	start, end := 1, 2
	byPositions, err := p.Forward(predict.TokenInput{InputIDs: ids("a", "b"), StartPositions: &start, EndPositions: &end})
	if err != nil {
		t.Fatal(err)
	}
	byLabels, err := p.Forward(predict.TokenInput{InputIDs: ids("a", "b"), Labels: []byte("[1, 2]")})
	if err != nil {
		t.Fatal(err)
	}
	if byPositions.Loss == nil || byLabels.Loss == nil || *byPositions.Loss != *byLabels.Loss {
		t.Errorf("losses %v and %v, want the same", byPositions.Loss, byLabels.Loss)
	}
}
