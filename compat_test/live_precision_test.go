package compat_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// TestLiveBFloat16 computes MiniLM's hidden states in bfloat16. Both gopeft and torch's autocast round what they
// multiply; torch rounds results as well, so gopeft's mean error, by the double precision run, is at most torch's.
func TestLiveBFloat16(t *testing.T) {
	o := needOracle(t)
	dir := miniLM(t)
	model, base, err := auto.Load(hfio.Dir(dir), &auto.Options{Task: models.FeatureExtraction, OpenOptions: auto.OpenOptions{DType: hfio.BF16}})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	for _, v := range variants {
		c := taskCase{name: string(models.FeatureExtraction), task: models.FeatureExtraction}
		if !v.always || !c.takes(v.method) {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			cell := cell{oracle: o, taskCase: c, base: liveBase{dir: dir, vocab: 30522, hidden: 384, real: true}, variant: v, folder: t.TempDir(), model: model}
			made := cell.path("made")
			cell.pythonMakes(t, made)
			examples := drawExamples(c, cell.base, seeded(6), 40, 7, 90)
			exact := cell.pythonAnswers(t, made, examples)
			autocast := cell.pythonAnswers(t, made, examples, "--dtype", "float32", "--autocast")
			logits, out, err := loadAdapter(t, made, model).Forward(models.Batch{Sequences: tuned{}.sequences(examples...)})
			if err != nil {
				t.Fatal(err)
			}
			own := answers(models.FeatureExtraction, logits, out)
			ours, torchs := relativeError(t, own, exact), relativeError(t, autocast, exact)
			t.Logf("error of gopeft %.2g, of torch %.2g", ours, torchs)
			if ours > torchs {
				t.Errorf("the relative error is %.3g, torch's in the same precision is %.3g", ours, torchs)
			}
			if ours < 1e-4 {
				t.Errorf("the relative error is %.3g: this is not bfloat16", ours)
			}
		})
	}
}

// relativeError is the Euclidean distance of hidden states from the exact ones over their length.
func relativeError(t *testing.T, got, exact []answer) float64 {
	t.Helper()
	distance, length := 0.0, 0.0
	for i, a := range exact {
		g, e := got[i]["last_hidden_state"], a["last_hidden_state"]
		if len(g) != len(e) || len(e) == 0 {
			t.Fatalf("sequence %d has %d values, want %d", i, len(g), len(e))
		}
		for j := range e {
			distance += (g[j] - e[j]) * (g[j] - e[j])
			length += e[j] * e[j]
		}
	}
	return math.Sqrt(distance / length)
}

// TestLiveHalfCheckpoints reads bases that were saved in 16 bits: the numbers are those that transformers computes in
// float32 from the same files.
func TestLiveHalfCheckpoints(t *testing.T) {
	o := needOracle(t)
	for _, dtype := range []string{"bfloat16", "float16"} {
		t.Run(dtype, func(t *testing.T) {
			c := taskCase{name: string(models.SeqCls), task: models.SeqCls, kind: models.SingleLabel, labels: 3}
			base := liveBase{dir: t.TempDir(), vocab: 90, hidden: 24}
			o.call(t, append([]string{"make-base", base.dir, "--dtype", dtype, "--task", string(c.task)},
				strings.Fields("--layers 3 --hidden 24 --heads 3 --intermediate 40 --vocab 90 --max-positions 40 --num-labels 3")...)...)
			for _, v := range variants {
				if v.always {
					t.Run(v.name, func(t *testing.T) {
						cell := cell{oracle: o, taskCase: c, base: base, variant: v, folder: t.TempDir()}
						cell.model = openBase(t, base.dir, models.HeadSpec{Task: c.task}, 0)
						cell.examples = drawExamples(c, base, seeded(5), 9, 1, 14)
						made := cell.path("made")
						cell.pythonMakes(t, made)
						cell.goLoads(t, made)
					})
				}
			}
		})
	}
}
