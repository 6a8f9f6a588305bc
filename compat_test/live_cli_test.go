package compat_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/cli"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// trainingFlags make each method on the command line.
var trainingFlags = map[string]string{
	"prompt":            "--peft-type PROMPT_TUNING --prompt-tuning-init RANDOM",
	"prompt-vocab":      "--peft-type PROMPT_TUNING --prompt-tuning-init SAMPLE_VOCAB",
	"ptuning-mlp":       "--peft-type P_TUNING --encoder-hidden-size 10",
	"cartridge":         "--peft-type CARTRIDGE --num-frozen-tokens 2",
	"multitask":         "--peft-type MULTITASK_PROMPT_TUNING --num-ranks 3",
	"ptuning-lstm":      "--peft-type P_TUNING --encoder-reparameterization-type LSTM --encoder-hidden-size 10 --encoder-dropout 0.1",
	"prefix":            "--peft-type PREFIX_TUNING",
	"prefix-projection": "--peft-type PREFIX_TUNING --prefix-projection --encoder-hidden-size 10",
}

// trainingData holds a few lines for each task.
var trainingData = map[models.Task]string{
	models.SeqCls: `{"text": "a good film", "label": "pos", "task_id": 0}
{"text": "not good", "label": "neg", "task_id": 1}
{"text": "the bad city", "label": "neg", "task_id": 0}
{"text": "great river", "label": "pos", "task_id": 1}
`,
	models.TokenCls: `{"words": ["the", "great", "river"], "tags": ["O", "B-LOC", "I-LOC"], "task_id": 1}
{"words": ["not", "good"], "tags": ["O", "O"], "task_id": 0}
{"words": ["who"], "tags": ["B-PER"], "task_id": 1}
`,
	models.QuestionAns: `{"question": "who is it", "context": "the good film is great", "answers": {"text": ["the good film"], "answer_start": [0]}}
{"question": "what is it", "context": "a great river", "answers": {"text": ["river"], "answer_start": [8]}}
`,
}

// TestLiveCommand trains every method for every task with the command gopeft on a
// base without heads, dropout on, and wants what the command forward says of the adapter to be what PEFT says.
func TestLiveCommand(t *testing.T) {
	o := needOracle(t)
	for task, data := range trainingData {
		t.Run(string(task), func(t *testing.T) {
			folder := t.TempDir()
			base, file, input := filepath.Join(folder, "base"), filepath.Join(folder, "train.jsonl"), filepath.Join(folder, "input.jsonl")
			o.call(t, "make-base", base, "--task", "FEATURE_EXTRACTION", "--num-labels", "2", "--tokenizer", "--dropout", "0.1")
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, flags := range trainingFlags {
				if !(taskCase{task: task}).takes(name) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					writeLines(t, input, drawInputs(name == "multitask"))
					dir, output := filepath.Join(t.TempDir(), "adapter"), filepath.Join(t.TempDir(), "output.jsonl")
					gopeft(t, "train --num-virtual-tokens 5 --num-train-epochs 5 --learning-rate 0.05 --batch-size 2 --task-type "+string(task)+" "+flags,
						"--base", base, "--data", file, "--output", dir)
					o.call(t, "forward", "--base", base, "--adapter", dir, "--task", string(task), "--input", input, "--output", output)
					own := filepath.Join(t.TempDir(), "own.jsonl")
					printed := gopeft(t, "forward", "--base", base, "--adapter", dir, "--input", input)
					if err := os.WriteFile(own, []byte(printed), 0o600); err != nil {
						t.Fatal(err)
					}
					compareLines(t, readAnswers(t, own), readAnswers(t, output))
					resaved := filepath.Join(t.TempDir(), "resaved")
					o.call(t, "resave", "--base", base, "--adapter", dir, "--task", string(task), "--out", resaved)
					if readDir(t, dir)[hfio.AdapterWeightsFile] != readDir(t, resaved)[hfio.AdapterWeightsFile] {
						t.Error("PEFT saved other weights than it loaded")
					}
				})
			}
		})
	}
}

// compareLines wants the same tensors in every line: Python's names and no others.
func compareLines(t *testing.T, got, want []answer) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Errorf("line %d has %d tensors, want %d", i, len(got[i]), len(want[i]))
		}
		worst = max(worst, compareAnswer(t, i, got[i], want[i], outputATol))
	}
	t.Logf("outputs: greatest difference %.2g", worst)
}

// drawInputs are sequences without labels, of two tasks if there are several.
func drawInputs(tasks bool) []example {
	examples := drawExamples(taskCase{kind: models.SingleLabel, labels: 2}, liveBase{vocab: 128}, seeded(21), 7, 1, 15)
	for i := range examples {
		examples[i].Labels = nil
		if tasks {
			examples[i].TaskID = i % 2
		}
	}
	return examples
}

// gopeft runs the command in this process and returns its standard output.
func gopeft(t *testing.T, words string, more ...string) string {
	t.Helper()
	var out, messages bytes.Buffer
	arguments := append(append([]string{"gopeft"}, strings.Fields(words)...), more...)
	if status := cli.Run(t.Context(), arguments, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &messages}); status != cli.StatusOK {
		t.Fatalf("%s: status %d\n%s", strings.Join(arguments, " "), status, messages.String())
	}
	return out.String()
}
