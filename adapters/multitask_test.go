package adapters_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
)

// source is the adapter that the targets of testdata/make_goldens.py start from.
func source(t testing.TB) []hfio.Tensor { return openFile(t, "multitask-seq_cls").Tensors }

// TestTargetsEqualPEFT compares adapters that start from the tasks of another with those that PEFT makes.
func TestTargetsEqualPEFT(t *testing.T) {
	own := map[string][]string{ // what no source gives is drawn
		"average": {"prompt_embeddings", "prefix_task_cols", "prefix_task_rows"},
		"exact":   {"prompt_embeddings", "prefix_task_cols", "prefix_task_rows"},
		"shared":  {"prompt_embeddings"},
	}
	for name, tensors := range own {
		t.Run(name, func(t *testing.T) {
			want := openFile(t, "multitask-"+name)
			m := create(t, openBase(t, models.SeqCls), want.Config, adapters.Init{Source: source(t)})
			got, err := m.File()
			if err != nil {
				t.Fatal(err)
			}
			for _, tensor := range tensors {
				g, _ := got.Tensor(tensor)
				w, _ := want.Tensor(tensor)
				if !slices.Equal(g.Shape, w.Shape) || string(g.Data) != string(w.Data) {
					t.Errorf("%s differs from PEFT's", tensor)
				}
			}
			if text, err := got.Config.Encode(); err != nil || !slices.Equal(text, encode(t, want.Config)) {
				t.Errorf("the config is (%v)\n%s", err, text)
			}
		})
	}
}

func encode(t testing.TB, c hfio.AdapterConfig) []byte {
	t.Helper()
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNewMultitaskRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*hfio.AdapterConfig)
		source []hfio.Tensor
		says   string
	}{
		{"no ranks", func(c *hfio.AdapterConfig) { c.NumRanks = 0 }, nil, `"num_ranks"`},
		{"no tasks", func(c *hfio.AdapterConfig) { c.NumTasks = 0 }, nil, `"num_tasks"`},
		{"unknown init", func(c *hfio.AdapterConfig) { c.PromptTuningInit = "X" }, nil, `"prompt_tuning_init"`},
		{"text without ids", func(c *hfio.AdapterConfig) { c.PromptTuningInit = "TEXT" }, nil, "no token ids"},
		{"no path", func(c *hfio.AdapterConfig) { c.PromptTuningInit = "ONLY_SOURCE_SHARED" }, source(t), `"prompt_tuning_init_state_dict_path"`},
		{"no source", target("ONLY_SOURCE_SHARED", 0), nil, `no tensor "prompt_embeddings"`},
		{"no such task", target("EXACT_SOURCE_TASK", 2), source(t), `"prompt_tuning_init_task": wrong adapter config: 2, want a task of prefix_task_cols, 0 to 1`},
		{"other ranks", func(c *hfio.AdapterConfig) { target("AVERAGE_SOURCE_TASKS", 0)(c); c.NumRanks = 3 }, source(t), "[2 3 2], want [0 3 3]"},
		{"two targets", func(c *hfio.AdapterConfig) { target("EXACT_SOURCE_TASK", 0)(c); c.NumTasks = 2 }, source(t), "want 1 with init"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := variants["multitask"](3, 0)
			test.change(&c)
			_, err := adapters.New(openBase(t, models.SeqCls), c, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2)), Source: test.source})
			if !errors.Is(err, adapters.ErrConfig) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want …%s…", err, test.says)
			}
		})
	}
	c := variants["multitask"](3, 0)
	c.TaskType = hfio.QuestionAns
	if _, err := adapters.New(openBase(t, models.QuestionAns), c, adapters.Init{Rand: rand.New(rand.NewPCG(1, 2))}); !errors.Is(err, adapters.ErrConfig) {
		t.Errorf("a task without task ids gives %v", err)
	}
}

func target(init string, task int) func(*hfio.AdapterConfig) {
	return func(c *hfio.AdapterConfig) {
		c.NumTasks, c.PromptTuningInit, c.PromptTuningInitTask, c.PromptTuningInitStateDictPath = 1, init, task, "source"
	}
}

// TestTaskIDs: an id that no task has is an error wherever a sequence is answered.
func TestTaskIDs(t *testing.T) {
	base := openBase(t, models.SeqCls)
	single, several := loadGolden(t, "prompt-seq_cls", base), loadGolden(t, "multitask-seq_cls", base)
	for name, test := range map[string]struct {
		m  *adapters.PeftModel
		id int
	}{"one task": {single, 1}, "two tasks": {several, 2}, "negative": {several, -1}} {
		t.Run(name, func(t *testing.T) {
			wrong := inputs[0]
			wrong.TaskID = test.id
			frozen, err := test.m.Freeze()
			if err != nil {
				t.Fatal(err)
			}
			batch := models.Batch{Sequences: []models.Sequence{inputs[1], wrong}}
			_, _, first := test.m.Forward(batch)
			_, _, second := frozen.Forward(batch)
			_, third := adapters.ForwardMixed(base, []adapters.Request{{Sequence: wrong, Adapter: frozen}})
			for _, err := range []error{first, second, third} {
				if !errors.Is(err, adapters.ErrTaskID) {
					t.Errorf("the error is %v", err)
				}
			}
			if frozen.Prompt(test.id) != nil {
				t.Error("there is a prompt for it")
			}
		})
	}
}

// TestTasksOfOneBatch: tasks that share a batch are answered as each by itself.
func TestTasksOfOneBatch(t *testing.T) {
	m := loadGolden(t, "multitask-seq_cls", openBase(t, models.SeqCls))
	batch := models.Batch{}
	var want []float32
	for i := range 6 {
		s := inputs[i%2]
		s.TaskID = (i / 2) % 2
		batch.Sequences = append(batch.Sequences, s)
		want = append(want, forward(t, m.Forward, models.Batch{Sequences: []models.Sequence{s}})...)
	}
	numtest.Close(t, forward(t, m.Forward, batch), want, 1e-5, 1e-5)
}
