package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// loraTarget is a linear layer that LoRA adds to.
type loraTarget struct {
	layer.LinearModule
	path  string // in transformers' model of the task
	rank  int
	scale float32
}

// allLinear is the target_modules that means every linear layer but the head.
const allLinear = "all-linear"

// defaultTargets are PEFT's for target_modules null.
// Source: peft 0.21.2, utils/constants.py, TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.
var defaultTargets = map[string][]string{
	"bart":        {"q_proj", "v_proj"},
	"bert":        {"query", "value"},
	"bloom":       {"query_key_value"},
	"deberta":     {"in_proj"},
	"deberta-v2":  {"query_proj", "value_proj"},
	"electra":     {"query", "value"},
	"gemma":       {"q_proj", "v_proj"},
	"gemma2":      {"q_proj", "v_proj"},
	"gemma3_text": {"q_proj", "v_proj"},
	"gpt2":        {"c_attn"},
	"gpt_neox":    {"query_key_value"},
	"llama":       {"q_proj", "v_proj"},
	"mistral":     {"q_proj", "v_proj"},
	"mt5":         {"q", "v"},
	"opt":         {"q_proj", "v_proj"},
	"qwen2":       {"q_proj", "v_proj"},
	"qwen3":       {"q_proj", "v_proj"},
	"roberta":     {"query", "value"},
	"t5":          {"q", "v"},
	"xlm-roberta": {"query", "value"},
}

// loraTargets returns the layers of the base that a config's LoRA adds to, in the
// base's order. Source: peft 0.21.2, tuners/tuners_utils.py, check_target_module_exists,
// and tuners/lora/model.py, _create_and_replace.
func loraTargets(cfg hfio.AdapterConfig, base *models.Model) ([]loraTarget, error) {
	isTarget, err := targetMatcher(cfg)
	if err != nil {
		return nil, err
	}
	ranks, err := parsePattern("rank_pattern", cfg.RankPattern)
	if err != nil {
		return nil, err
	}
	alphas, err := parsePattern("alpha_pattern", cfg.AlphaPattern)
	if err != nil {
		return nil, err
	}
	var targets []loraTarget
	for _, module := range base.Linears {
		path := base.Path(module.Module)
		if !isTarget(path) {
			continue
		}
		rank, alpha := int(ranks(path, float64(cfg.R))), alphas(path, cfg.LoraAlpha)
		if rank < 1 {
			return nil, fieldError("r", "%d for %s, want 1 or more", rank, path)
		}
		scale := alpha / float64(rank)
		if cfg.UseRSLora { // Kalajdzievski 2023, arXiv 2312.03732
			scale = alpha / math.Sqrt(float64(rank))
		}
		targets = append(targets, loraTarget{module, path, rank, float32(scale)})
	}
	if len(targets) == 0 {
		return nil, fieldError("target_modules", "%s, want some of the base's linear layers: %s", cfg.TargetModules, strings.Join(endings(base), ", "))
	}
	return targets, nil
}

// endings are the last names of the base's linear layers.
func endings(base *models.Model) []string {
	var names []string
	for _, m := range base.Linears {
		names = append(names, lastName(m.Name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// namedTargets returns target_modules as PEFT writes it: never null, and the paths
// that "all-linear" stands for.
func namedTargets(cfg hfio.AdapterConfig, base *models.Model) (json.RawMessage, error) {
	var names []string
	var shorthand string
	switch {
	case isNull(cfg.TargetModules):
		if names = defaultTargets[base.Config.ModelType]; names == nil {
			return nil, fieldError("target_modules", "null, want names: PEFT knows none for %s", base.Config.ModelType)
		}
	case json.Unmarshal(cfg.TargetModules, &shorthand) == nil && strings.EqualFold(shorthand, allLinear):
		for _, m := range base.Linears {
			names = append(names, base.Path(m.Module))
		}
	default:
		return cfg.TargetModules, nil
	}
	return json.Marshal(names)
}

// matcher tells whether a module's path is meant.
type matcher func(path string) bool

// parseMatcher reads names, of which one must be a module's path or its end, or a
// regular expression for the whole path; null matches nothing.
func parseMatcher(field string, raw json.RawMessage) (matcher, error) {
	var names []string
	var pattern string
	switch {
	case isNull(raw), json.Unmarshal(raw, &names) == nil:
		return func(path string) bool { return isNamed(path, names) }, nil
	case json.Unmarshal(raw, &pattern) != nil:
		return nil, fieldError(field, "%s, want a list of names, a pattern or null", raw)
	}
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fieldError(field, "%q: %v (patterns are those of Go, which has no lookaround)", pattern, err)
	}
	return whole.MatchString, nil
}

// isNamed tells whether one of the names is a path or its end.
func isNamed(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return path == name || strings.HasSuffix(path, "."+name) })
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(bytes.TrimSpace(raw)) == "null" }

// targetMatcher reads target_modules, which must not be null, and the fields that leave
// some of them out. layers_to_transform does so with the ends of paths alone, not with
// whole paths, and an empty list of layers leaves out none.
func targetMatcher(cfg hfio.AdapterConfig) (matcher, error) {
	wanted, err := parseMatcher("target_modules", cfg.TargetModules)
	if err != nil {
		return nil, err
	}
	excluded, err := parseMatcher("exclude_modules", cfg.ExcludeModules)
	if err != nil {
		return nil, err
	}
	inLayers, err := layerMatcher(cfg)
	if err != nil {
		return nil, err
	}
	var names []string
	if json.Unmarshal(cfg.TargetModules, &names) != nil {
		names = nil // a pattern, which goes without layers_to_transform
	}
	return func(path string) bool {
		return !excluded(path) && wanted(path) && (slices.Contains(names, path) || inLayers(path))
	}, nil
}

// layerMatcher reads layers_to_transform, an index or several, and layers_pattern, the
// names before an index; without a pattern it is the first index that follows two names.
func layerMatcher(cfg hfio.AdapterConfig) (matcher, error) {
	indices, err := oneOrMore[int]("layers_to_transform", cfg.LayersToTransform, "an index, a list of them or null")
	if err != nil {
		return nil, err
	}
	patterns, err := oneOrMore[string]("layers_pattern", cfg.LayersPattern, "a name, a list of them or null")
	if err != nil {
		return nil, err
	}
	if len(indices) == 0 {
		return func(string) bool { return true }, nil
	}
	if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" {
		patterns = []string{`.*?\.[^.]*`}
	} else {
		for i, p := range patterns {
			patterns[i] = `(?:^|.*?\.)` + p
		}
	}
	var expressions []*regexp.Regexp
	for _, p := range patterns {
		e, err := regexp.Compile(`^` + p + `\.(?P<idx>\d+)\.`)
		if err != nil {
			return nil, fieldError("layers_pattern", "%q: %v", p, err)
		}
		expressions = append(expressions, e)
	}
	return func(path string) bool {
		for _, e := range expressions {
			if found := e.FindStringSubmatch(path); found != nil {
				at, err := strconv.Atoi(found[e.SubexpIndex("idx")])
				return err == nil && slices.Contains(indices, at)
			}
		}
		return false
	}, nil
}

// layerConflict reports fields that PEFT does not take together.
// Source: peft 0.21.2, tuners/lora/config.py, LoraConfig.__post_init__.
func layerConflict(cfg hfio.AdapterConfig) error {
	var pattern string
	isPattern := !isNull(cfg.TargetModules) && json.Unmarshal(cfg.TargetModules, &pattern) == nil
	unused := isNull(cfg.LayersPattern) || slices.Contains([]string{"[]", `""`}, string(bytes.TrimSpace(cfg.LayersPattern)))
	switch {
	case isPattern && !isNull(cfg.LayersToTransform):
		return fieldError("layers_to_transform", "%s, want null beside the pattern target_modules %q", cfg.LayersToTransform, pattern)
	case isPattern && !isNull(cfg.LayersPattern):
		return fieldError("layers_pattern", "%s, want null beside the pattern target_modules %q", cfg.LayersPattern, pattern)
	case !unused && isNull(cfg.LayersToTransform):
		return fieldError("layers_pattern", "%s, want layers_to_transform beside it", cfg.LayersPattern)
	}
	return nil
}

// oneOrMore reads a value, a list of values, or none of null.
func oneOrMore[T any](field string, raw json.RawMessage, want string) ([]T, error) {
	var one T
	var more []T
	switch {
	case isNull(raw):
	case json.Unmarshal(raw, &one) == nil:
		return []T{one}, nil
	case json.Unmarshal(raw, &more) != nil:
		return nil, fieldError(field, "%s, want %s", raw, want)
	}
	return more, nil
}

// parsePattern reads numbers by a regular expression for the end of a path; where two
// match the file's first counts. Source: peft 0.21.2, utils/other.py, get_pattern_key.
func parsePattern(field string, raw json.RawMessage) (func(path string, standard float64) float64, error) {
	numbers := map[string]float64{}
	if len(raw) > 0 && json.Unmarshal(raw, &numbers) != nil {
		return nil, fieldError(field, "%s, want numbers by the names of modules", raw)
	}
	names := keysInOrder(raw)
	expressions := map[string]*regexp.Regexp{}
	for _, name := range names {
		e, err := regexp.Compile(`^(?:.*\.)?(?:` + name + `)$`)
		if err != nil {
			return nil, fieldError(field, "%q: %v", name, err)
		}
		expressions[name] = e
	}
	return func(path string, standard float64) float64 {
		for _, name := range names {
			if expressions[name].MatchString(path) {
				return numbers[name]
			}
		}
		return standard
	}, nil
}

// byName returns an object of numbers as PEFT writes it, its keys sorted. A new adapter goes
// by this order, so that it is the same when it is read again.
func byName(object json.RawMessage) json.RawMessage {
	var numbers map[string]json.RawMessage
	if json.Unmarshal(object, &numbers) != nil || numbers == nil {
		return object
	}
	sorted, err := json.Marshal(numbers)
	if err != nil {
		return object
	}
	return sorted
}

// keysInOrder returns the keys of a JSON object whose values are no objects or lists, as
// they follow each other.
func keysInOrder(object json.RawMessage) []string {
	var keys []string
	isKey := true
	for d := json.NewDecoder(bytes.NewReader(object)); ; {
		token, err := d.Token()
		if err != nil {
			return keys
		}
		if _, isBrace := token.(json.Delim); isBrace {
			continue
		}
		if name, ok := token.(string); ok && isKey {
			keys = append(keys, name)
		}
		isKey = !isKey
	}
}

// loraBias is a layer whose bias an adapter replaces, with the name that the file has for it.
type loraBias struct {
	layer.Module
	path string // in transformers' model of the task
	name string
}

// own returns a copy of the base's bias.
func (b loraBias) own(base *models.Model) ([]float32, error) {
	t, err := ownTensor(base, b.path+biasEnd)
	if err != nil {
		return nil, err
	}
	values, err := t.Float32s()
	return slices.Clone(values), err
}

// ownTensor returns a tensor that a base was read from.
func ownTensor(base *models.Model, name string) (hfio.Tensor, error) {
	t, ok := findTensor(base.Tensors, name)
	if !ok {
		return t, &hfio.TensorError{File: base.Config.File, Name: name, Err: hfio.ErrNotFound}
	}
	return t, nil
}

// loraPlan returns the layers that a config's LoRA adds to, and those whose bias it replaces: of
// the same layers with lora_only, of all with all.
// Source: peft 0.21.2, tuners/tuners_utils.py, _mark_only_adapters_as_trainable and
// _get_learnable_bias_state_dict.
func loraPlan(cfg hfio.AdapterConfig, base *models.Model) ([]loraTarget, []loraBias, error) {
	targets, err := loraTargets(cfg, base)
	if err != nil || cfg.Bias != "all" && cfg.Bias != "lora_only" {
		return targets, nil, err
	}
	var biases []loraBias
	for _, m := range base.Biases {
		b := loraBias{Module: m, path: base.Path(m)}
		isTarget := slices.ContainsFunc(targets, func(t loraTarget) bool { return t.path == b.path })
		if b.name = headPrefixOf(hfio.Lora) + b.path + biasEnd; isTarget {
			b.name = headPrefixOf(hfio.Lora) + b.path + baseBiasEnd
		}
		if isTarget || cfg.Bias == "all" {
			biases = append(biases, b)
		}
	}
	if cfg.Bias == "all" {
		err = otherBiases(base)
	}
	return targets, biases, err
}

// otherBiases reports biases of the base that no adapter can replace.
func otherBiases(base *models.Model) error {
	var others []string
	for _, t := range base.Tensors {
		known := func(m layer.Module) bool { return base.Path(m)+biasEnd == t.Name }
		if strings.HasSuffix(t.Name, biasEnd) && !slices.ContainsFunc(base.Biases, known) {
			others = append(others, t.Name)
		}
	}
	if others != nil {
		return fieldError("bias", "all, want none or lora_only: gopeft cannot train %s of %s", strings.Join(others, ", "), base.Config.ModelType)
	}
	return nil
}

// The ends of the names of LoRA's tensors in adapter_model.safetensors.
const (
	factorA      = ".lora_A.weight"
	factorB      = ".lora_B.weight"
	shiftEnd     = ".lora_B.bias"
	magnitudeEnd = ".lora_magnitude_vector"
	biasEnd      = ".bias"
	baseBiasEnd  = ".base_layer" + biasEnd
)

// isLora tells whether a tensor is one that LoRA alone has.
func isLora(name string) bool {
	return slices.ContainsFunc([]string{factorA, factorB, shiftEnd, magnitudeEnd, baseBiasEnd}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// isSavedBias tells whether PEFT saves a tensor because all biases are trained: that of a part of the
// base, or one more copy of the head's.
func isSavedBias(name string, cfg hfio.AdapterConfig) bool {
	return isDelta(cfg.PeftType) && cfg.Bias == "all" && strings.HasSuffix(name, biasEnd)
}

// loraProblems compares a file's tensors with those that its config asks of the base.
func loraProblems(file *hfio.Adapter, cfg hfio.AdapterConfig, base *models.Model) (found []error, misfits []Mismatch) {
	targets, biases, err := loraPlan(cfg, base)
	if err != nil {
		return []error{err}, nil
	}
	var wanted []tensorShape
	for _, t := range targets {
		name := headPrefixOf(hfio.Lora) + t.path
		wanted = append(wanted, tensorShape{name + factorA, []int{t.rank, t.In}}, tensorShape{name + factorB, []int{t.Out, t.rank}})
		if cfg.LoraBias {
			wanted = append(wanted, tensorShape{name + shiftEnd, []int{t.Out}})
		}
		if cfg.UseDora {
			wanted = append(wanted, tensorShape{name + magnitudeEnd, []int{t.Out}})
		}
	}
	for _, b := range biases {
		wanted = append(wanted, tensorShape{b.name, []int{b.Out}})
	}
	for _, want := range wanted {
		t, ok := file.Tensor(want.name)
		switch {
		case !ok:
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: want.name, Err: fmt.Errorf("%w, want %v", hfio.ErrNotFound, want.shape)})
		case !want.fits(t.Shape):
			misfits = append(misfits, Mismatch{want.name, fmt.Sprint(t.Shape), fmt.Sprint(want.shape)})
		}
	}
	for _, t := range file.Tensors {
		isWanted := slices.ContainsFunc(wanted, func(want tensorShape) bool { return want.name == t.Name })
		if isLora(t.Name) && !isWanted {
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: t.Name, Err: fmt.Errorf(
				"%w: the config asks for no such tensor of this base", hfio.ErrUnsupported)})
		}
	}
	return found, misfits
}
