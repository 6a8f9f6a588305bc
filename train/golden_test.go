package train

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// The goldens are made by compat_test/oracle/train_fixtures.py with the versions that
// the files name.

func readGolden(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestAdamWAndClippingAsTorch(t *testing.T) {
	var golden struct {
		Runs []struct {
			Decay   float64
			MaxNorm float64 `json:"max_norm"`
			Start   [][]float32
			Steps   []struct {
				Gradients, Clipped, Values [][]float32
				Norm                       float64
			}
		}
	}
	readGolden(t, "optim.json", &golden)
	for _, run := range golden.Runs {
		var params []models.NamedParam
		for _, values := range run.Start {
			params = append(params, models.NamedParam{Param: kernel.NewParam(1, len(values), slices.Clone(values))})
		}
		a := NewAdamW(params)
		a.WeightDecay = run.Decay
		for i, step := range run.Steps {
			for k, p := range params {
				p.Param.AccGrad(kernel.New(1, len(step.Gradients[k]), slices.Clone(step.Gradients[k])))
			}
			near(t, "norm", ClipGradNorm(params, run.MaxNorm), step.Norm, 1e-6)
			for k, p := range params {
				compare(t, "clipped gradient", kernel.Data(p.Param.Grad()), step.Clipped[k])
			}
			a.Step(0.02 * Linear.Factor(i, 2, 10))
			a.ZeroGrad()
			for k, p := range params {
				compare(t, "value", kernel.Data(p.Param), step.Values[k])
			}
		}
	}
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		near(t, what, float64(got[i]), float64(want[i]), 1e-6)
	}
}

func TestSchedulesAsTransformers(t *testing.T) {
	var golden struct {
		Schedules []struct {
			Schedule      Schedule
			Warmup, Steps int
			Factors       []float64
		}
	}
	readGolden(t, "optim.json", &golden)
	if len(golden.Schedules) != 12 {
		t.Fatalf("found %d schedules, want 12", len(golden.Schedules))
	}
	for _, c := range golden.Schedules {
		for step, want := range c.Factors {
			near(t, string(c.Schedule), c.Schedule.Factor(step, c.Warmup, c.Steps), want, 1e-12)
		}
	}
}

func TestMetricsOfClasses(t *testing.T) {
	var golden struct {
		Classes []struct {
			Classes                     int
			Wanted, Predicted           []int
			Accuracy, MCC, Micro, Macro float64
			Binary                      *float64
		}
		Several struct {
			Wanted, Predicted      [][]bool
			Accuracy, Micro, Macro float64
		}
		Regression struct {
			X, Y         []float64
			Pearson, MSE float64
		}
	}
	readGolden(t, "metrics.json", &golden)
	for _, c := range golden.Classes {
		s := F1(c.Predicted, c.Wanted, c.Classes)
		near(t, "accuracy", Accuracy(c.Predicted, c.Wanted), c.Accuracy, 1e-12)
		near(t, "mcc", MCC(c.Predicted, c.Wanted, c.Classes), c.MCC, 1e-12)
		near(t, "micro", s.Micro, c.Micro, 1e-12)
		near(t, "macro", s.Macro, c.Macro, 1e-12)
		if c.Binary != nil {
			near(t, "binary", s.PerClass[1], *c.Binary, 1e-12)
		}
	}
	several := golden.Several
	s := F1Several(several.Predicted, several.Wanted, 4)
	near(t, "micro of several", s.Micro, several.Micro, 1e-12)
	near(t, "macro of several", s.Macro, several.Macro, 1e-12)
	near(t, "accuracy of several", subsetAccuracy(several.Predicted, several.Wanted), several.Accuracy, 1e-12)
	r := golden.Regression
	near(t, "pearson", Pearson(r.X, r.Y), r.Pearson, 1e-12)
	near(t, "mse", MeanSquares(r.X, r.Y), r.MSE, 1e-12)
}

func TestEntitiesAsSeqeval(t *testing.T) {
	var golden struct {
		Entities []struct {
			Wanted, Predicted     [][]string
			F1, Precision, Recall float64
		}
	}
	readGolden(t, "metrics.json", &golden)
	for _, c := range golden.Entities {
		s := EntityF1(c.Predicted, c.Wanted)
		near(t, "f1", s.F1, c.F1, 1e-12)
		near(t, "precision", s.Precision, c.Precision, 1e-12)
		near(t, "recall", s.Recall, c.Recall, 1e-12)
	}
}

func TestAnswersAsSQuAD(t *testing.T) {
	var golden struct {
		Answers []struct {
			Prediction string
			Answers    []string
			Exact, F1  float64
		}
	}
	readGolden(t, "metrics.json", &golden)
	for _, c := range golden.Answers {
		exact, f1 := SQuADScores(c.Prediction, c.Answers)
		near(t, "exact match of "+c.Prediction, exact, c.Exact, 0)
		near(t, "f1 of "+c.Prediction, f1, c.F1, 1e-12)
	}
}
