package auto_test

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// goldens are tiny models that transformers made; compat_test compares the gradients.
const goldens = "../../compat_test/testdata/goldens"

// A base that is opened to be trained gives the same scores, and every tensor that
// transformers saved of its model gets a gradient.
func TestTrain(t *testing.T) {
	batch := models.Batch{Sequences: []models.Sequence{{IDs: []int{1, 2, 3, 4}, TypeIDs: []int{0, 0, 1, 1}}, {IDs: []int{5}}}}
	for _, task := range []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns} {
		t.Run(string(task), func(t *testing.T) {
			files := os.DirFS(path.Join(goldens, string(task), "base"))
			open := func(train bool) *models.Model {
				m, base, err := auto.Load(files, &auto.Options{OpenOptions: auto.OpenOptions{Train: train}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = base.Close() })
				return m
			}
			frozen, trained := open(false), open(true)
			want, _, err := frozen.Forward(batch)
			if err != nil {
				t.Fatal(err)
			}
			logits, _, err := trained.Forward(batch)
			if err != nil {
				t.Fatal(err)
			}
			numtest.Close(t, models.Values(logits), numtest.Wide(models.Values(want)), 1e-6, 1e-6)
			logits.AccGrad(kernel.New(kernel.Rows(logits), kernel.Cols(logits), numtest.Normal(1, logits.Size(), 1)))
			if err := ag.Backward(logits); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range trained.Params {
				names = append(names, p.Name)
				if !p.Param.HasGrad() {
					t.Errorf("%s has no gradient", p.Name)
				}
			}
			slices.Sort(names)
			if stored := storedNames(t, task); !slices.Equal(names, stored) {
				t.Errorf("trained are %q, the file has %q", names, stored)
			}
			if frozen.Params != nil {
				t.Error("a frozen base has parameters")
			}
		})
	}
}

func storedNames(t *testing.T, task models.Task) []string {
	t.Helper()
	file, err := hfio.OpenSafeTensors(os.DirFS(path.Join(goldens, string(task), "base")), "model.safetensors", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	for _, tensor := range file.Tensors {
		names = append(names, tensor.Name)
	}
	slices.Sort(names)
	return names
}

// What an architecture reads outside of the blocks that can be trained is named.
func TestTrainUnsupported(t *testing.T) {
	for dir, name := range map[string]string{
		"MASKED_LM":              "cls.predictions.bias",
		"../encoders/deberta":    "encoder.rel_embeddings.weight",
		"../encoders/deberta-v2": "encoder.rel_embeddings.weight",
		"../encoders/deberta-v3": "encoder.rel_embeddings.weight",
		"../encoders/modernbert": "layers.1.attn_norm.weight",
	} {
		_, _, err := auto.Load(os.DirFS(path.Join(goldens, dir, "base")), &auto.Options{OpenOptions: auto.OpenOptions{Train: true}})
		if !errors.Is(err, hfio.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: found %v, want an error that names %s", dir, err, name)
		}
	}
	_, err := auto.Open(os.DirFS(path.Join(goldens, "SEQ_CLS", "base")), &auto.OpenOptions{Train: true, DType: hfio.BF16})
	if !errors.Is(err, auto.ErrDType) {
		t.Errorf("found %v, want ErrDType", err)
	}
}
