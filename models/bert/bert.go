// Package bert is BERT (Devlin et al. 2019, arXiv 1810.04805), model_type bert, as
// transformers computes it. Start at [Architecture], through models/auto.
package bert

import (
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
)

// Architecture is BERT's entry in the table of models/auto.
var Architecture = models.Architecture{
	Prefix:  "bert.",
	Renamed: encoder.Renamed,
	Tasks:   tasks(),
	New:     models.NewBackbone(New),
}

func tasks() map[string]models.Task {
	tasks := encoder.Tasks("Bert")
	tasks["BertForPreTraining"] = models.MaskedLM // its other head, for next sentences, is left alone
	return tasks
}

// Model is the encoder without pooler and head.
type Model struct{ *encoder.Model }

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &encoder.Model{Config: c, Embeddings: encoder.NewEmbeddings(c, w.At("embeddings"))}
	for i := range c.Layers {
		m.Layers = append(m.Layers, encoder.NewLayer(c, w.At("encoder", "layer", i), encoder.BERTNames))
	}
	return &Model{m}, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_bert.py.
func readConfig(file hfio.ModelConfig, tensors int) (encoder.Config, error) {
	r := file.Reader()
	c := encoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType, Layers: 12, Hidden: 768, Heads: 12, Vocab: 30522, MaxPositions: 512, TypeVocab: 2,
		},
		Intermediate: 3072, Act: "gelu", NormEps: 1e-12, HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02,
	}.Read(r).Complete(r, encoder.BERTFields, tensors)
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout", c.HiddenDropout)
	return c, r.Err()
}
