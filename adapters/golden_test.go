package adapters_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// The goldens are PEFT's; testdata/README.md says how they were made.

// inputs are INPUTS of testdata/make_goldens.py.
var inputs = []models.Sequence{
	{IDs: []int{2, 11, 12, 13, 3}, TypeIDs: []int{0, 0, 0, 1, 1}},
	{IDs: []int{2, 20, 39, 3, 31, 7, 3}, TypeIDs: []int{0, 0, 0, 0, 1, 1, 1}},
}

// trained is BATCH of testdata/make_goldens.py, whose labels are 2 and 0.
var trained = []models.Sequence{
	{IDs: []int{2, 11, 12, 13, 3}, TypeIDs: []int{0, 0, 0, 1, 1}},
	{IDs: []int{2, 35, 9, 30, 3}, TypeIDs: []int{0, 0, 1, 1, 1}},
}

var tasks = map[string]models.Task{
	"seq_cls": models.SeqCls, "token_cls": models.TokenCls,
	"question_ans": models.QuestionAns, "feature_extraction": models.FeatureExtraction,
	"null": models.SeqCls,
}

func openBase(t testing.TB, task models.Task) *models.Model {
	t.Helper()
	base, file, err := auto.Load(hfio.Dir("testdata/base"), &auto.Options{Task: task})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return base
}

// goldens lists the adapters, each with its task.
func goldens(t testing.TB) map[string]models.Task {
	t.Helper()
	configs, err := filepath.Glob("testdata/*/adapter_config.json")
	if err != nil || len(configs) < 20 {
		t.Fatalf("found %d adapters in testdata, %v", len(configs), err)
	}
	found := map[string]models.Task{}
	for _, path := range configs {
		name := filepath.Base(filepath.Dir(path))
		file, err := hfio.OpenAdapter(hfio.Dir(filepath.Dir(path)), nil)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = models.Task(file.Config.TaskType)
		if found[name] == "" {
			found[name] = models.SeqCls
		}
		_ = file.Close()
	}
	return found
}

func openTensors(t testing.TB, name string) *hfio.SafeTensors {
	t.Helper()
	file, err := hfio.OpenSafeTensors(hfio.Dir("testdata"), name, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func floats(t testing.TB, file *hfio.SafeTensors, name string) []float32 {
	t.Helper()
	tensor, ok := file.Tensor(name)
	if !ok {
		t.Fatalf("the golden file has no %s", name)
	}
	values, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestForwardEqualsPEFT(t *testing.T) {
	expected := openTensors(t, "expected.safetensors")
	compared := 0
	for name, task := range goldens(t) {
		if _, ok := expected.Tensor(name + ".0." + outputName(task)); !ok {
			continue
		}
		compared++
		t.Run(name, func(t *testing.T) {
			m := loadGolden(t, name, openBase(t, task))
			f, err := m.Freeze()
			if err != nil {
				t.Fatal(err)
			}
			for i, input := range inputs {
				want := floats(t, expected, name+"."+strconv.Itoa(i)+"."+outputName(task))
				if task == models.QuestionAns {
					ends := floats(t, expected, name+"."+strconv.Itoa(i)+".end_logits")
					want = interleave(want, ends)
				}
				if m.Config.PeftType == hfio.MultitaskPromptTuning {
					input.TaskID = i % 2
				}
				batch := models.Batch{Sequences: []models.Sequence{input}}
				numtest.Close(t, forward(t, m.Forward, batch), want, 1e-5, 1e-5)
				numtest.Close(t, forward(t, f.Forward, batch), want, 1e-5, 1e-5)
			}
		})
	}
	if compared != 30 {
		t.Errorf("compared %d adapters, want 30: 6 variants on 4 tasks, one on 2, one without task, 3 dtypes", compared)
	}
}

func outputName(task models.Task) string {
	switch task {
	case models.QuestionAns:
		return "start_logits"
	case models.FeatureExtraction:
		return "last_hidden_state"
	}
	return "logits"
}

// interleave makes rows [start, end].
func interleave(starts, ends []float32) []float32 {
	rows := make([]float32, 0, 2*len(starts))
	for i := range starts {
		rows = append(rows, starts[i], ends[i])
	}
	return rows
}

func loadGolden(t testing.TB, name string, base *models.Model) *adapters.PeftModel {
	t.Helper()
	m, err := adapters.Load(hfio.Dir(filepath.Join("testdata", name)), base)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSavedAgainTheBytesAreTheSame(t *testing.T) {
	for name, task := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			m := loadGolden(t, name, openBase(t, task))
			dir := t.TempDir()
			if err := adapters.Save(dir, m); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{hfio.AdapterConfigFile, hfio.AdapterWeightsFile} {
				want, err := os.ReadFile(filepath.Join("testdata", name, file))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s differs (%v)", file, err)
				}
			}
		})
	}
}

// TestTrainingEqualsPEFT puts the parameters of PEFT's training-time module into a
// new adapter: names, stored prompt, loss and gradients must be PEFT's.
func TestTrainingEqualsPEFT(t *testing.T) {
	for _, name := range []string{"prompt", "ptuning-mlp", "ptuning-lstm", "prefix", "prefix-projection", "cartridge", "multitask"} {
		t.Run(name, func(t *testing.T) {
			dir := name + "-seq_cls"
			golden := openTensors(t, dir+"/training.safetensors")
			base := openBase(t, models.SeqCls)
			stored := loadGolden(t, dir, base)
			m, err := adapters.New(base, stored.Config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))})
			if err != nil {
				t.Fatal(err)
			}
			if name == "cartridge" { // the token that is not trained is in no list of parameters
				m = loadGolden(t, dir, base)
			}
			fillParams(t, m, golden)
			prompt, err := m.Adapter.Stored()
			if err != nil {
				t.Fatal(err)
			}
			got, _ := prompt[0].Float32s()
			want, _ := stored.Adapter.Stored()
			values, _ := want[0].Float32s()
			numtest.Close(t, got, values, 1e-5, 1e-6)
			batch := slices.Clone(trained)
			if name == "multitask" {
				batch[0].TaskID = 1
			}
			logits, _, err := m.Forward(models.Batch{Sequences: batch})
			if err != nil {
				t.Fatal(err)
			}
			loss := kernel.CrossEntropy(logits, []int{2, 0})
			numtest.Close(t, kernel.Data(loss), floats(t, golden, "loss"), 1e-5, 1e-6)
			if err := ag.Backward(loss); err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Trained() {
				// Gradients of up to 0.3 are sums of float32 products in another order than torch's:
				// small ones among them carry the rounding of the large.
				if !numtest.Close(t, kernel.Data(p.Param.Grad()), floats(t, golden, "grad."+p.Name), 1e-4, 1e-5) {
					t.Errorf("that was the gradient of %s", p.Name)
				}
			}
		})
	}
}

// fillParams sets every trained parameter and fails unless the names are the same.
func fillParams(t *testing.T, m *adapters.PeftModel, golden *hfio.SafeTensors) {
	t.Helper()
	var want, got []string
	for _, tensor := range golden.Tensors {
		if name, ok := strings.CutPrefix(tensor.Name, "param."); ok {
			want = append(want, name)
		}
	}
	for _, p := range m.Trained() {
		got = append(got, p.Name)
		copy(kernel.Data(p.Param), floats(t, golden, "param."+p.Name))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("Trained() = %v, want PEFT's %v", got, want)
	}
}
