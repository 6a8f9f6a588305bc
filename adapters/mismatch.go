package adapters

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// ErrMismatch is what every [MismatchError] is.
var ErrMismatch = errors.New("the adapter does not fit the base model")

// MismatchError lists everything in which an adapter and a base differ where they
// must agree.
type MismatchError struct {
	Mismatches []Mismatch
}

// Mismatch is one difference, with both values as people write them.
type Mismatch struct {
	Field   string `json:"field"` // of adapter_config.json, or the name of a tensor
	Adapter string `json:"adapter"`
	Base    string `json:"base"`
}

func (m Mismatch) String() string {
	return fmt.Sprintf("%s is %s in the adapter, %s in the base", m.Field, m.Adapter, m.Base)
}

func (e *MismatchError) Error() string {
	lines := make([]string, len(e.Mismatches))
	for i, m := range e.Mismatches {
		lines[i] = m.String()
	}
	return ErrMismatch.Error() + ": " + strings.Join(lines, "; ")
}

// Unwrap returns [ErrMismatch].
func (e *MismatchError) Unwrap() error { return ErrMismatch }

func mismatchError(found []Mismatch) error {
	if len(found) == 0 {
		return nil
	}
	return &MismatchError{found}
}

// misfits compares a config whose sizes are filled in with a base. Sizes that the
// method does not use are not compared: PEFT loads such files too.
func misfits(cfg hfio.AdapterConfig, base *models.Model, m method) []Mismatch {
	var found []Mismatch
	if task := base.PeftTask(); cfg.TaskType != "" && models.Task(cfg.TaskType) != task {
		found = append(found, Mismatch{"task_type", string(cfg.TaskType), taskName(task)})
	}
	if m.delta {
		return found
	}
	return append(found, sizeMisfits(cfg, base.Backbone.Shape(), m)...)
}

func taskName(task models.Task) string {
	if task == "" {
		return "none"
	}
	return string(task)
}

func sizeMisfits(cfg hfio.AdapterConfig, base models.Shape, m method) []Mismatch {
	var found []Mismatch
	compare := func(field string, adapter, base int) {
		if adapter != base {
			found = append(found, Mismatch{field, strconv.Itoa(adapter), strconv.Itoa(base)})
		}
	}
	if m.cached {
		compare("token_dim", cfg.TokenDim, cacheWidth(base))
		compare("num_attention_heads", cfg.NumAttentionHeads, cacheHeads(base))
		if base.DecoderLayers > 0 {
			found = append(found, decoderMisfits(cfg, base)...)
		} else {
			compare("num_layers", cfg.NumLayers, base.Layers)
		}
	} else {
		compare("token_dim", cfg.TokenDim, inputWidth(base))
	}
	// The real tokens' positions start after the virtual ones.
	if base.MaxPositions > 0 && cfg.NumVirtualTokens >= base.MaxPositions {
		found = append(found, Mismatch{
			"num_virtual_tokens", strconv.Itoa(cfg.NumVirtualTokens), fmt.Sprintf("only %d positions", base.MaxPositions),
		})
	}
	return found
}

// promptMisfit compares the stored prompt with the shape that the base needs.
func promptMisfit(cfg hfio.AdapterConfig, base models.Shape, m method, stored []int) []Mismatch {
	if cfg.TokenDim = inputWidth(base); base.DecoderLayers == 0 {
		cfg.NumLayers = base.Layers
	}
	if m.cached {
		cfg.TokenDim = cacheWidth(base)
	}
	rows, columns := m.promptShape(cfg)
	if len(stored) == 2 && stored[0] == rows && stored[1] == columns {
		return nil
	}
	want := fmt.Sprintf("%v", []int{rows, columns})
	if m.cached && grouped(base) && len(stored) == 2 && stored[0] == rows && stored[1] == 2*base.Layers*base.Hidden {
		want += " (the file was written before PEFT 0.12 knew grouped keys and values)"
	}
	return []Mismatch{{promptName, fmt.Sprint(stored), want}}
}
