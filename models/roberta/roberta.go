// Package roberta is RoBERTa (Liu et al. 2019, arXiv 1907.11692), and XLM-RoBERTa and
// CamemBERT, which compute the same: model_type roberta, xlm-roberta and camembert, as
// transformers computes them. Start at [Architecture], through models/auto.
package roberta

import (
	"fmt"
	"slices"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/encoder"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/stack"
)

// Architecture returns the entry in the table of models/auto, for the word that the names
// of the model's classes in transformers begin with: Roberta.
func Architecture(class string) models.Architecture {
	return models.Architecture{
		Prefix:  "roberta.",
		Renamed: encoder.Renamed,
		Tasks:   encoder.Tasks(class),
		New:     models.NewBackbone(New),
	}
}

// Model is the encoder without head.
type Model struct {
	*encoder.Model
	pad int // pad_token_id
}

// New reads the encoder. Problems of its tensors are noted in the weights.
func New(file hfio.ModelConfig, w *layer.Weights) (*Model, error) {
	c, pad, err := readConfig(file, w.Count())
	if err != nil {
		return nil, err
	}
	m := &Model{&encoder.Model{Config: c, Embeddings: encoder.NewEmbeddings(c, w.At("embeddings"))}, pad}
	m.Positions = m.positions
	m.Embeddings.Position.Padding = pad
	m.Config.MaxPositions -= pad + 1 // the table's first rows are nobody's
	for i := range c.Layers {
		m.Layers = append(m.Layers, encoder.NewLayer(c, w.At("encoder", "layer", i), encoder.BERTNames))
	}
	return m, nil
}

// readConfig reads a config and reports everything in it that cannot be computed.
// Source: transformers 5.23, configuration_roberta.py, configuration_xlm_roberta.py and
// configuration_camembert.py, whose defaults differ in the vocabulary.
func readConfig(file hfio.ModelConfig, tensors int) (c encoder.Config, pad int, err error) {
	r := file.Reader()
	vocabulary := 30522
	if file.ModelType == "roberta" {
		vocabulary = 50265
	}
	c = encoder.Config{
		Shape: models.Shape{
			ModelType: file.ModelType, Layers: 12, Hidden: 768, Heads: 12, Vocab: vocabulary, MaxPositions: 512, TypeVocab: 2,
		},
		Intermediate: 3072, Act: "gelu", NormEps: 1e-12, HiddenDropout: 0.1, AttentionDropout: 0.1, InitRange: 0.02, Padding: 1,
	}.Read(r).Complete(r, encoder.BERTFields, tensors)
	c.ClassifierDropout = r.ProbabilityOr("classifier_dropout", c.HiddenDropout)
	pad = r.IntOr("pad_token_id", 1)
	absent := slices.Contains(r.Keys(), "pad_token_id") && !r.Has("pad_token_id")
	if absent || pad < 0 || pad >= c.MaxPositions-1 {
		r.Reject("pad_token_id", fmt.Sprintf("a number below max_position_embeddings - 1, %d: positions begin behind it", c.MaxPositions-1))
	}
	return c, pad, r.Err()
}

// positions begin behind that of the padding token, which has its own wherever it stands
// among tokens. Before or among the rows of a prompt it is a token as any other.
// Source: transformers 5.23, modeling_roberta.py, create_position_ids_from_input_ids and
// create_position_ids_from_inputs_embeds.
func (m *Model) positions(pass *stack.Pass) []int {
	positions := pass.Positions()
	for i, s := range pass.Batch.Sequences {
		span, next := pass.Spans[i], pass.FirstPosition[i]
		embedded := s.Prompt != nil && s.Prompt.Input != nil && kernel.Rows(s.Prompt.Input) > 0
		for row := span.Start; row < span.End; row++ {
			if !embedded && s.IDs[row-span.Start] == m.pad {
				positions[row] = m.pad
				continue
			}
			positions[row] = m.pad + 1 + next
			next++
		}
	}
	return positions
}
