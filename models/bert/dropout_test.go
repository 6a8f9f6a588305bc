package bert_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/layer"
)

// Where transformers has a dropout that drops (all but surely) everything, the model
// computes what it computes with zeros in that place; with weights that make those zeros
// the same numbers come out of an evaluation.
// Source of the places: transformers 5.23, modeling_bert.py.
func TestDropoutPlaces(t *testing.T) {
	for _, c := range []struct {
		name, task, field, value string
		zeroed                   []string // endings of the names of weights
	}{
		{"attention", "TOKEN_CLS", "attention_probs_dropout_prob", "0.0", []string{"value.weight", "value.bias"}},
		{"hidden, no classifier", "QUESTION_ANS", "hidden_dropout_prob", "0.0", []string{
			"embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", "output.dense.weight", "output.dense.bias",
		}},
		{"classifier takes hidden's", "SEQ_CLS", "hidden_dropout_prob", "0.0", []string{"classifier.weight"}},
		{"sequence classifier", "SEQ_CLS", "classifier_dropout", "null", []string{"classifier.weight"}},
		{"token classifier", "TOKEN_CLS", "classifier_dropout", "null", []string{"classifier.weight"}},
		{"no classifier dropout in QA", "QUESTION_ANS", "classifier_dropout", "null", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			field := func(value string) string { return `"` + c.field + `": ` + value }
			dropping := golden(t, c.task, replace(field(c.value), field("0.99999994")), nil)
			want := logitsOf(t, golden(t, c.task, nil, zeroed(c.zeroed)))
			numtest.Close(t, trainingLogits(t, dropping), want, 1e-6, 1e-6)
			numtest.SameBits(t, logitsOf(t, dropping), logitsOf(t, golden(t, c.task, nil, nil)))
		})
	}
}

// zeroed fills the tensors whose names end so with zeros.
func zeroed(endings []string) func([]hfio.Tensor) []hfio.Tensor {
	return func(list []hfio.Tensor) []hfio.Tensor {
		var all []hfio.Tensor
		for _, t := range list {
			for _, ending := range endings {
				if strings.HasSuffix(t.Name, ending) {
					t.Data = make([]byte, len(t.Data))
				}
			}
			all = append(all, t)
		}
		return all
	}
}

func trainingLogits(t *testing.T, dir fs.FS) []float32 {
	t.Helper()
	model, _, err := auto.Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	logits, _, err := model.Forward(models.Batch{Sequences: sequences, Dropout: layer.NewDropout(1)})
	if err != nil {
		t.Fatal(err)
	}
	return models.Values(logits)
}
