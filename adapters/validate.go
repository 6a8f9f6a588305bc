package adapters

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/joined"
	"github.com/gopeft/gopeft/models"
)

// Severity says what a finding means.
type Severity string

const (
	// Error: the adapter cannot be used, here or in Python; the message says where.
	Error Severity = "error"
	// Warning: it can be used, and something is likely not what its user thinks.
	Warning Severity = "warning"
	// Note: worth knowing.
	Note Severity = "note"
)

// Finding is one remark about an adapter.
type Finding struct {
	Severity Severity `json:"severity"`
	Field    string   `json:"field"` // of adapter_config.json, a tensor's or a file's name
	Message  string   `json:"message"`
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Severity, f.Field, f.Message) }

func problem(field, format string, args ...any) Finding {
	return Finding{Error, field, fmt.Sprintf(format, args...)}
}

func warning(field, format string, args ...any) Finding {
	return Finding{Warning, field, fmt.Sprintf(format, args...)}
}

func note(field, format string, args ...any) Finding {
	return Finding{Note, field, fmt.Sprintf(format, args...)}
}

// Validate says everything that is wrong or remarkable about an adapter, errors
// first. base may be nil: then the adapter is compared with its own config only.
// Heads are compared with the base when the adapter is loaded.
func Validate(file *hfio.Adapter, base *models.Shape) []Finding {
	m, err := methodOf(file.Config.PeftType)
	if err != nil {
		return []Finding{problem("peft_type", "%v", err)}
	}
	var found []Finding
	for _, err := range fileProblems(file) {
		found = append(found, errorFinding(err))
	}
	found = append(found, taskFindings(file, base)...)
	found = append(found, m.notes(file.Config)...)
	found = append(found, shapeFindings(file, base, m)...)
	found = append(found, valueFindings(file, m)...)
	found = append(found, extraFindings(file, m)...)
	found = append(found, sideFindings(file)...)
	order := []Severity{Error, Warning, Note}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return slices.Index(order, a.Severity) - slices.Index(order, b.Severity)
	})
	return found
}

// Findings says one by one, in the words of [Validate], what an error of [Load] or [FromFile] reports
// together; none for nil.
func Findings(err error) []Finding {
	var found []Finding
	for _, one := range joined.Parts(err) {
		var misfit *MismatchError
		if !errors.As(one, &misfit) {
			found = append(found, errorFinding(one))
			continue
		}
		for _, m := range misfit.Mismatches {
			found = append(found, m.finding())
		}
	}
	return found
}

func (m Mismatch) finding() Finding {
	return problem(m.Field, "%s in the adapter, %s in the base", m.Adapter, m.Base)
}

// errorFinding turns an error into a finding of its field or tensor.
func errorFinding(err error) Finding {
	var field *hfio.FieldError
	var tensor *hfio.TensorError
	switch {
	case errors.As(err, &field):
		return problem(field.Field, "%v", field.Err)
	case errors.As(err, &tensor):
		return problem(tensor.Name, "%v", tensor.Err)
	case errors.Is(err, models.ErrUnsupportedTask):
		return problem("task_type", "%v", err)
	}
	return problem(hfio.AdapterWeightsFile, "%s", strings.TrimPrefix(err.Error(), hfio.AdapterWeightsFile+": "))
}

// taskFindings knows what PEFT does for a task and which heads it needs. On a base that is
// found out when the adapter is loaded: some heads have other names.
func taskFindings(file *hfio.Adapter, base *models.Shape) []Finding {
	cfg := file.Config
	if cfg.TaskType == "" && !isDelta(cfg.PeftType) {
		return []Finding{warning("task_type", "null: PEFT loads the adapter as a plain model, and the prompt has no effect, silently")}
	}
	modules := taskModules(cfg.TaskType)
	stored := func(t hfio.Tensor) bool {
		name, ok := strings.CutPrefix(t.Name, headPrefix(file))
		return ok && (inModules(name, modules) || isNamedHead(name, cfg))
	}
	if base == nil && len(modules) > 0 && !slices.ContainsFunc(file.Tensors, stored) {
		names := make([]string, len(modules))
		for i, module := range modules {
			names[i] = headPrefix(file) + module + ".*"
		}
		return []Finding{warning(hfio.AdapterWeightsFile, "%v. On a base whose head has another name (BART, T5: classification_head; "+
			"ModernBERT, QUESTION_ANS: classifier) PEFT does so only if modules_to_save names it", noHead(strings.Join(names, " or ")))}
	}
	return nil
}

// isNamedHead tells whether a parameter is of a head that PEFT saves because modules_to_save names it.
func isNamedHead(param string, cfg hfio.AdapterConfig) bool {
	return inModules(param, models.HeadModules) && inModules(param, cfg.ModulesToSave)
}

// shapeFindings compares the stored prompt with the config, or with the base.
func shapeFindings(file *hfio.Adapter, base *models.Shape, m method) []Finding {
	stored, ok := file.Tensor(promptName)
	if m.delta || !ok || file.Config.NumVirtualTokens < 1 {
		return nil
	}
	if base == nil {
		return configShape(file, m, stored.Shape)
	}
	cfg := fillSizes(file.Config, *base, m)
	var found []Finding
	for _, err := range append(moreProblems(file, cfg, m), seq2seqErrors(cfg, *base, m)...) {
		found = append(found, errorFinding(err))
	}
	for _, d := range append(sizeMisfits(cfg, *base, m), promptMisfit(cfg, *base, m, stored.Shape)...) {
		found = append(found, d.finding())
	}
	if len(found) == 0 {
		found = append(found, unusedSizes(file.Config, *base, m)...)
	}
	return append(found, pythonFindings(file.Config, *base, m)...)
}

// configShape compares the prompt with sizes that the config itself gives.
func configShape(file *hfio.Adapter, m method, stored []int) []Finding {
	cfg := file.Config
	fill(&cfg.NumTransformerSubmodules, submodules(cfg.TaskType))
	if cfg.TokenDim == 0 || m.cached && cfg.NumLayers == 0 {
		return nil
	}
	var found []Finding
	for _, err := range moreProblems(file, cfg, m) {
		found = append(found, errorFinding(err))
	}
	if rows, columns := m.promptShape(cfg); !slices.Equal(stored, []int{rows, columns}) {
		found = append(found, problem(promptName, "shape %v, want [%d %d] by the config", stored, rows, columns))
	}
	return found
}

// unusedSizes remarks on sizes that differ from the base's and count for nothing.
func unusedSizes(cfg hfio.AdapterConfig, base models.Shape, m method) []Finding {
	if m.cached {
		return nil
	}
	var found []Finding
	compare := func(field string, adapter, base int) {
		if adapter != 0 && adapter != base {
			found = append(found, note(field, "%d in the adapter, %d in the base; the method does not use it", adapter, base))
		}
	}
	compare("num_attention_heads", cfg.NumAttentionHeads, base.Heads)
	compare("num_layers", cfg.NumLayers, base.Layers)
	return found
}

// valueFindings looks for numbers that no computation survives.
func valueFindings(file *hfio.Adapter, m method) []Finding {
	var found []Finding
	for _, t := range file.Tensors {
		if !m.owns(t.Name) && !strings.HasPrefix(t.Name, headPrefix(file)) || checkFloats(t) != nil {
			continue
		}
		if !finite(t) {
			found = append(found, warning(t.Name, "holds NaN or infinite values"))
		}
	}
	return found
}

// extraFindings lists what a file holds beyond its method, and what PEFT makes of it.
func extraFindings(file *hfio.Adapter, m method) []Finding {
	var found []Finding
	var known map[string]json.RawMessage
	if m.delta {
		known = hfio.LoraDefaults()
	}
	for _, key := range slices.Sorted(maps.Keys(file.Config.Unknown)) {
		if _, ok := known[key]; ok {
			continue
		}
		found = append(found, note(key, "unknown key: PEFT drops it with a warning since 0.14, and fails on it from 0.6 to 0.13"))
	}
	if !file.Config.InferenceMode {
		found = append(found, note("inference_mode", "false: PEFT ignores the stored value"))
	}
	for _, t := range file.Tensors {
		switch {
		case m.owns(t.Name) || inModules(t.Name, headModules) || isLora(t.Name) || isSavedBias(t.Name, file.Config) || isNamedHead(t.Name, file.Config):
		case strings.HasPrefix(t.Name, headPrefix(file)) && inModules(t.Name, file.Config.ModulesToSave):
			found = append(found, note(t.Name, "modules_to_save names it: PEFT replaces this part of the base with it; gopeft loads it where the base has none"))
		case strings.HasPrefix(t.Name, headPrefix(file)):
			found = append(found, warning(t.Name, "PEFT replaces this part of the base with it; gopeft does not load such an adapter"))
		default:
			found = append(found, note(t.Name, "PEFT ignores this tensor"))
		}
	}
	return found
}

// sideFindings looks at what gopeft keeps beside PEFT's files.
func sideFindings(file *hfio.Adapter) []Finding {
	var found []Finding
	if file.Info != nil {
		if _, err := ParseInfo(file.Info); err != nil {
			found = append(found, problem(hfio.InfoFile, "%v", err))
		}
	}
	belongs, err := stateBelongs(file)
	switch {
	case err != nil:
		found = append(found, problem(hfio.StateFile, "%v", err))
	case file.State != nil && !belongs && slices.ContainsFunc(file.State.Tensors, isEncoder):
		found = append(found, warning(hfio.StateFile,
			"its encoder belongs to other weights: the stored prompt can be used, its training cannot go on"))
	}
	return found
}
