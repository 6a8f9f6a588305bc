package adapters

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// newConfig sets what PEFT sets itself in the config of a new adapter.
func newConfig(cfg hfio.AdapterConfig, head models.Head) hfio.AdapterConfig {
	cfg.ModulesToSave = newModulesToSave(cfg, head)
	cfg.InferenceMode = true
	if cfg.PeftType == hfio.CPT && cfg.NumVirtualTokens == 0 {
		cfg.NumVirtualTokens = len(cfg.CPTTokenIDs)
	}
	if cfg.PeftVersion == "" {
		cfg.PeftVersion = hfio.PeftVersion
	}
	return cfg
}

// Bounds of what a config may ask memory for.
const (
	maxVirtualTokens = 1 << 20
	maxEncoderHidden = 1 << 16
)

// checkNew reports everything that keeps a config with its sizes filled in from
// being a new adapter's.
func checkNew(cfg hfio.AdapterConfig, base *models.Model, init Init, m method) error {
	var found []error
	add := func(bad bool, err error) {
		if bad {
			found = append(found, err)
		}
	}
	add(init.Rand == nil, fmt.Errorf("%w: Init.Rand is nil", ErrConfig))
	if m.delta {
		found = append(found, m.check(cfg, base, init)...)
		return errors.Join(append(found, foreignModules(cfg, base.Head)...)...)
	}
	add(cfg.TaskType == "", fieldError("task_type", "null, want a task: PEFT gives a prompt without one no effect"))
	n := cfg.NumVirtualTokens
	add(n < 1 || n > maxVirtualTokens, fieldError("num_virtual_tokens", "%d, want 1 to %d", n, maxVirtualTokens))
	h := cfg.EncoderHiddenSize
	add(h < 1 || h > maxEncoderHidden, fieldError("encoder_hidden_size", "%d, want 1 to %d", h, maxEncoderHidden))
	found = append(found, seq2seqErrors(cfg, base.Backbone.Shape(), m)...)
	found = append(found, m.check(cfg, base, init)...)
	found = append(found, foreignModules(cfg, base.Head)...)
	return errors.Join(found...)
}

// foreignModules reports modules_to_save outside the head: a base is shared by its
// adapters, so no other part of it can be an adapter's own.
func foreignModules(cfg hfio.AdapterConfig, head models.Head) []error {
	var found []error
	task := taskModules(cfg.TaskType)
	for _, name := range savedModules(cfg) {
		if !slices.Contains(task, name) && !coversHead(name, head) {
			found = append(found, fieldError("modules_to_save", "%q, want only modules of the head (%s)", name, strings.Join(task, ", ")))
		}
	}
	return found
}

func coversHead(module string, head models.Head) bool {
	for _, p := range headParams(head) {
		if inModules(p.Name, []string{module}) {
			return true
		}
	}
	return false
}

// fieldError is a problem of a field of the config.
func fieldError(field, format string, args ...any) error {
	return &hfio.FieldError{
		File: hfio.AdapterConfigFile, Field: field,
		Err: fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...)),
	}
}
