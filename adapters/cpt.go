package adapters

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// CPT is P rows before the word embeddings that were trained as a context of examples
// (Tsachor et al. 2024, "Context-aware Prompt Tuning"). PEFT has it for causal
// language models only, whose loss over the context trains it; here it is read, used
// and written, and not trained.
type CPT struct {
	nn.Module

	rows   mat.Tensor // [P, d]
	config hfio.AdapterConfig
}

var _ Adapter = (*CPT)(nil)

// cptErrors is what PEFT refuses at loading. Source: peft 0.21.2, tuners/cpt/config.py.
func cptErrors(cfg hfio.AdapterConfig) []error {
	var found []error
	if cfg.TaskType != hfio.CausalLM {
		found = append(found, fieldError("task_type", "%q, want %s: PEFT knows the method for no other", cfg.TaskType, hfio.CausalLM))
	}
	ids := max(1, len(cfg.CPTTokenIDs)) // of null PEFT makes one token
	if cfg.NumVirtualTokens != ids {
		found = append(found, fieldError("num_virtual_tokens", "%d, want %d, which is what PEFT takes: as many as cpt_token_ids", cfg.NumVirtualTokens, ids))
	}
	if n := len(cfg.CPTMask); cfg.CPTMask != nil && n != ids {
		found = append(found, fieldError("cpt_mask", "%d values, want %d, as many as cpt_token_ids", n, ids))
	}
	if n := len(cfg.CPTTokensTypeMask); cfg.CPTTokensTypeMask != nil && n != ids {
		found = append(found, fieldError("cpt_tokens_type_mask", "%d values, want %d, as many as cpt_token_ids", n, ids))
	}
	return found
}

func noteCPT(cfg hfio.AdapterConfig) []Finding {
	var found []Finding
	for _, err := range cptErrors(cfg) {
		found = append(found, errorFinding(err))
	}
	switch cfg.OptWeightedLossType {
	case "none", "decay":
	default:
		found = append(found, note("opt_weighted_loss_type", "%q is unknown; PEFT takes it for none when it trains", cfg.OptWeightedLossType))
	}
	return found
}

func restoreCPT(cfg hfio.AdapterConfig, _ *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	rows, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	return &CPT{rows: kernel.New(len(rows)/cfg.TokenDim, cfg.TokenDim, rows), config: cfg}, nil
}

// Prompt returns the rows as they are, [P, d].
func (a *CPT) Prompt(*layer.Dropout, *models.Pool) (*models.Prompt, error) {
	return &models.Prompt{Input: a.rows}, nil
}

// Config returns the config with every size filled in.
func (a *CPT) Config() hfio.AdapterConfig { return a.config }

// Stored returns the rows, [P, d]: word embeddings with what training added to them.
func (a *CPT) Stored() ([]hfio.Tensor, error) { return storedPrompt(a.rows), nil }

// Trained returns nothing.
func (a *CPT) Trained() []models.NamedParam { return nil }

// Continuable is false.
func (a *CPT) Continuable() bool { return false }
