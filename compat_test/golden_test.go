package compat_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/train"
)

const goldens = "testdata/goldens"

// taskCase is a task with the kind of its labels. Its name is the folder of the goldens.
type taskCase struct {
	name   string
	task   models.Task // of the base model; PEFT's task is null in the case null
	kind   string      // the problem type that the labels of SEQ_CLS make
	labels int         // scores of the head
	steps  bool        // an adapter of this case can be trained
	shift  func(labels []int) []int
}

var cases = []taskCase{
	{name: "SEQ_CLS", task: models.SeqCls, kind: models.SingleLabel, labels: 3, steps: true},
	{name: "SEQ_CLS-multi-label", task: models.SeqCls, kind: models.MultiLabel, labels: 3, steps: true},
	{name: "SEQ_CLS-regression", task: models.SeqCls, kind: models.Regression, labels: 1, steps: true},
	{name: "TOKEN_CLS", task: models.TokenCls, labels: 3, steps: true},
	{name: "QUESTION_ANS", task: models.QuestionAns, labels: 2, steps: true},
	{name: "FEATURE_EXTRACTION", task: models.FeatureExtraction, steps: true},
	{name: "null", task: models.SeqCls, kind: models.SingleLabel, labels: 3},
}

var methods = []string{"prompt", "ptuning-mlp", "ptuning-lstm", "prefix", "prefix-projection", "cartridge", "multitask", "lora"}

// takes tells whether PEFT runs a method in the case: it gives task ids to the prompt in two tasks only,
// and knows CPT in one.
func (c taskCase) takes(method string) bool {
	if method == "cpt" {
		return c.task == models.CausalLM
	}
	return method != "multitask" || c.name != "null" && (c.task == models.SeqCls || c.task == models.TokenCls || c.task == models.Seq2SeqLM)
}

// ask is what compareForward needs of a model in this case. The loss goes by the base's problem type, as in transformers.
func (c taskCase) ask(f forward) tuned {
	return tuned{forward: f, task: c.task, problemType: c.kind, shift: c.shift}
}

// TestGoldenVersions wants goldens of the versions that the oracle is pinned to.
func TestGoldenVersions(t *testing.T) {
	made, err := os.ReadFile(filepath.Join(goldens, "versions.json"))
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadFile("oracle/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range decode[map[string]string](t, made) {
		if !slices.Contains(strings.Fields(string(pins)), name+"=="+version) {
			t.Errorf("the goldens were made with %s %s, which is not what oracle/requirements.txt pins", name, version)
		}
	}
}

// TestGoldenBase compares the base models alone.
func TestGoldenBase(t *testing.T) {
	alone := append([]taskCase{{name: "MASKED_LM", task: models.MaskedLM}}, cases...)
	for _, c := range alone {
		t.Run(c.name, func(t *testing.T) {
			folder := filepath.Join(goldens, c.name)
			base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{Task: c.task}, 0)
			compareForward(t, c.ask(base.Forward), readLines[example](t, filepath.Join(folder, "input.jsonl")),
				readAnswers(t, filepath.Join(folder, "forward.jsonl")))
		})
	}
}

// TestGoldenAdapters compares every method in every task, as loaded and frozen.
func TestGoldenAdapters(t *testing.T) {
	eachGolden(t, func(t *testing.T, c taskCase, folder string, base *models.Model) {
		m := loadAdapter(t, filepath.Join(folder, "adapter"), base)
		frozen, err := m.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		examples, want := goldenExamples(t, folder), readAnswers(t, filepath.Join(folder, "forward.jsonl"))
		compareForward(t, c.ask(m.Forward), examples, want)
		compareForward(t, c.ask(frozen.Forward), examples, want)
	})
}

// TestGoldenFiles loads every adapter and saves it: the same files, the same bytes.
func TestGoldenFiles(t *testing.T) {
	eachGolden(t, func(t *testing.T, _ taskCase, folder string, base *models.Model) {
		// The model cards are all the same but for LoRA's, and kept once.
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(folder, "adapter"))); err != nil {
			t.Fatal(err)
		}
		name := hfio.ReadmeFile
		if filepath.Base(folder) == "lora" {
			name = "README-lora.md"
		}
		card, err := os.ReadFile(filepath.Join(goldens, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, hfio.ReadmeFile), card, 0o600); err != nil {
			t.Fatal(err)
		}
		again := t.TempDir()
		if err := adapters.Save(again, loadAdapter(t, dir, base)); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, again, dir)
	})
}

// TestGoldenMerged writes the base with LoRA in its weights as a model of its own, which
// answers alone as PEFT does with the adapter.
func TestGoldenMerged(t *testing.T) {
	for _, c := range cases {
		if c.name == "null" {
			continue // without a task, so it is not known what the model is for
		}
		t.Run(c.name, func(t *testing.T) {
			folder := filepath.Join(goldens, c.name, "lora")
			merged := mergeAdapter(t, filepath.Join(goldens, c.name, "base"), filepath.Join(folder, "adapter"))
			model := openBase(t, merged, models.HeadSpec{}, 0)
			if model.Task != c.task {
				t.Errorf("the config says %s, want %s", model.Task, c.task)
			}
			examples := goldenExamples(t, folder)
			if c.task == models.QuestionAns { // PEFT drops the token types
				for i := range examples {
					examples[i].TypeIDs = nil
				}
			}
			compareForward(t, c.ask(model.Forward), examples, readAnswers(t, filepath.Join(folder, "forward.jsonl")))
		})
	}
}

// mergeAdapter writes the base with an adapter in its weights and returns the directory.
func mergeAdapter(t testing.TB, base, adapter string) string {
	t.Helper()
	b, err := predict.OpenBase(hfio.Dir(base), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	file := openAdapter(t, adapter)
	config, tensors, err := b.Merge(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "merged")
	if err := hfio.WriteModel(dir, config, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGoldenSteps repeats ten AdamW steps of torch.
func TestGoldenSteps(t *testing.T) {
	plan := plan{learningRate: 0.02, weightDecay: 0.01, clip: 1, warmup: 2, schedule: train.Linear}
	eachGolden(t, func(t *testing.T, c taskCase, folder string, base *models.Model) {
		if !c.steps {
			t.Skip("without a task type the prompt is not used, and nothing can train it")
		}
		config := loadAdapter(t, filepath.Join(folder, "adapter"), base).Config
		m, err := adapters.New(base, config, adapters.Init{Rand: seeded(1)})
		if err != nil {
			t.Fatal(err)
		}
		if config.PeftType == hfio.Cartridge { // the token that is not trained is in no list of parameters
			m = loadAdapter(t, filepath.Join(folder, "adapter"), base)
		}
		setParameters(t, m, openTensors(t, filepath.Join(folder, "state.safetensors")))
		batches := readLines[batchLine](t, ownOrCommon(folder, "batches.jsonl"))
		run := takeSteps(t, m, c.ask(m.Forward), batches, plan)
		compareSteps(t, m, run, openTensors(t, filepath.Join(folder, "steps.safetensors")))
	})
}

// eachGolden runs a test for every method in every task.
func eachGolden(t *testing.T, test func(t *testing.T, c taskCase, folder string, base *models.Model)) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			folder := filepath.Join(goldens, c.name)
			base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{Task: c.task}, 0)
			for _, method := range methods {
				if !c.takes(method) {
					continue
				}
				t.Run(method, func(t *testing.T) { test(t, c, filepath.Join(folder, method), base) })
			}
		})
	}
}

func goldenExamples(t *testing.T, folder string) []example {
	t.Helper()
	return readLines[example](t, ownOrCommon(folder, "input.jsonl"))
}

// ownOrCommon names the method's own file, or that of the task.
func ownOrCommon(folder, file string) string {
	path := filepath.Join(folder, file)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(folder, "..", file)
	}
	return path
}

func loadAdapter(t testing.TB, dir string, base *models.Model) *adapters.PeftModel {
	t.Helper()
	m, err := adapters.Load(hfio.Dir(dir), base)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGoldenDecoders compares the decoders alone.
func TestGoldenDecoders(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(goldens, "decoder-*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d decoders, %v", len(folders), err)
	}
	c := taskCase{task: models.CausalLM}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{}, 0)
			examples, want := readLines[example](t, filepath.Join(folder, "input.jsonl")), readAnswers(t, filepath.Join(folder, "forward.jsonl"))
			compareForward(t, c.ask(base.Forward), examples, want)
			compareReads(t, base, examples, want)
			compareLoss(t, filepath.Join(folder, "base"), examples, want)
		})
	}
}

// compareReads wants the loss of the rows that predict a label alone, of all sequences together.
func compareReads(t *testing.T, base *models.Model, examples []example, want []answer) {
	t.Helper()
	batch, labels := models.Batch{Sequences: tuned{task: base.Task}.sequences(examples...)}, models.Labels{}
	sum, count := 0.0, 0.0
	for i, e := range examples {
		reads, classes := models.NextTokens(decode[[]int](t, e.Labels), batch.Sequences[i])
		batch.Sequences[i].Reads, labels.Tokens = reads, append(labels.Tokens, classes)
		sum, count = sum+want[i]["loss"][0]*float64(len(classes)), count+float64(len(classes))
	}
	logits, out, err := base.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := models.Loss(base.Task, "", logits, out, labels)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "the loss of the rows that are read", models.Values(loss), []float64{sum / count}, outputRTol, outputATol)
}

// compareLoss asks the command forward's way.
func compareLoss(t *testing.T, dir string, examples []example, want []answer) {
	t.Helper()
	base, err := predict.OpenBase(hfio.Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	alone, err := base.Alone("")
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range examples {
		out, err := alone.Forward(predict.TokenInput{InputIDs: e.IDs, Labels: e.Labels})
		if err != nil {
			t.Fatal(err)
		}
		closeTo(t, "the loss", []float32{*out.Loss}, want[i]["loss"], outputRTol, outputATol)
	}
}
