package adapters

import (
	"encoding/json"
	"fmt"
	"maps"
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
var defaultTargets = map[string][]string{"bert": {"query", "value"}}

// loraTargets returns the layers of the base that a config's LoRA adds to, in the
// base's order. Source: peft 0.21.2, tuners/tuners_utils.py, check_target_module_exists,
// and tuners/lora/model.py, _create_and_replace.
func loraTargets(cfg hfio.AdapterConfig, base *models.Model) ([]loraTarget, error) {
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
		path := base.Prefix + module.Name
		if excluded(path) || !wanted(path) || !inLayers(path) {
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
	switch text := strings.TrimSpace(string(cfg.TargetModules)); text {
	case "", "null":
		if names = defaultTargets[base.Config.ModelType]; names == nil {
			return nil, fieldError("target_modules", "null, want names: PEFT knows none for %s", base.Config.ModelType)
		}
	case strconv.Quote(allLinear):
		for _, m := range base.Linears {
			names = append(names, base.Prefix+m.Name)
		}
	default:
		return cfg.TargetModules, nil
	}
	return json.Marshal(names)
}

// parseMatcher reads names, of which one must be a module's path or its end, or a
// regular expression for the whole path; null matches nothing.
func parseMatcher(field string, raw json.RawMessage) (func(path string) bool, error) {
	var names []string
	if json.Unmarshal(raw, &names) == nil {
		return func(path string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return path == name || strings.HasSuffix(path, "."+name) })
		}, nil
	}
	var pattern string
	if len(raw) == 0 || json.Unmarshal(raw, &pattern) != nil {
		if len(raw) == 0 {
			return func(string) bool { return false }, nil
		}
		return nil, fieldError(field, "%s, want a list of names, a pattern or null", raw)
	}
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fieldError(field, "%q: %v (patterns are those of Go, which has no lookaround)", pattern, err)
	}
	return whole.MatchString, nil
}

// layerMatcher reads layers_to_transform, an index or several, and layers_pattern, the
// names before an index; without a pattern it is the first index after two names.
func layerMatcher(cfg hfio.AdapterConfig) (func(path string) bool, error) {
	if len(cfg.LayersToTransform) == 0 || string(cfg.LayersToTransform) == "null" {
		return func(string) bool { return true }, nil
	}
	var indices []int
	var index int
	if json.Unmarshal(cfg.LayersToTransform, &index) == nil {
		indices = []int{index}
	} else if json.Unmarshal(cfg.LayersToTransform, &indices) != nil {
		return nil, fieldError("layers_to_transform", "%s, want an index, a list of them or null", cfg.LayersToTransform)
	}
	var patterns []string
	var pattern string
	if json.Unmarshal(cfg.LayersPattern, &pattern) == nil && pattern != "" {
		patterns = []string{pattern}
	} else if len(cfg.LayersPattern) > 0 && json.Unmarshal(cfg.LayersPattern, &patterns) != nil {
		return nil, fieldError("layers_pattern", "%s, want a name, a list of them or null", cfg.LayersPattern)
	}
	if len(patterns) == 0 {
		patterns = []string{`[^.]*`}
	}
	var expressions []*regexp.Regexp
	for _, p := range patterns {
		e, err := regexp.Compile(`^.*\.` + p + `\.(\d+)\.`)
		if err != nil {
			return nil, fieldError("layers_pattern", "%q: %v", p, err)
		}
		expressions = append(expressions, e)
	}
	return func(path string) bool {
		for _, e := range expressions {
			if found := e.FindStringSubmatch(path); found != nil {
				at, err := strconv.Atoi(found[1])
				return err == nil && slices.Contains(indices, at)
			}
		}
		return false
	}, nil
}

// parsePattern reads numbers by a regular expression for the end of a path.
// Source: peft 0.21.2, utils/other.py, get_pattern_key.
func parsePattern(field string, raw json.RawMessage) (func(path string, standard float64) float64, error) {
	numbers := map[string]float64{}
	if len(raw) > 0 && json.Unmarshal(raw, &numbers) != nil {
		return nil, fieldError(field, "%s, want numbers by the names of modules", raw)
	}
	expressions := map[string]*regexp.Regexp{}
	for name := range numbers {
		e, err := regexp.Compile(`^(?:.*\.)?(?:` + name + `)$`)
		if err != nil {
			return nil, fieldError(field, "%q: %v", name, err)
		}
		expressions[name] = e
	}
	// The file's order, which decides where two match, is lost in JSON objects; so no two should.
	names := slices.Sorted(maps.Keys(numbers))
	return func(path string, standard float64) float64 {
		for _, name := range names {
			if expressions[name].MatchString(path) {
				return numbers[name]
			}
		}
		return standard
	}, nil
}

// factorNames are the names of a target's tensors in adapter_model.safetensors.
func (t loraTarget) factorNames() (a, b string) {
	prefix := headPrefixOf(hfio.Lora) + t.path
	return prefix + factorA, prefix + factorB
}

const factorA, factorB = ".lora_A.weight", ".lora_B.weight"

// isFactor tells whether a tensor is one of LoRA's.
func isFactor(name string) bool {
	return strings.HasSuffix(name, factorA) || strings.HasSuffix(name, factorB)
}

// loraProblems compares a file's factors with those that its config asks of the base.
func loraProblems(file *hfio.Adapter, cfg hfio.AdapterConfig, base *models.Model) []error {
	targets, err := loraTargets(cfg, base)
	if err != nil {
		return []error{err}
	}
	var found []error
	known := map[string]bool{}
	compare := func(name string, want ...int) {
		known[name] = true
		t, ok := file.Tensor(name)
		switch {
		case !ok:
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: name, Err: fmt.Errorf("%w, want %v", hfio.ErrNotFound, want)})
		case !slices.Equal(t.Shape, want):
			found = append(found, mismatchError([]Mismatch{{name, fmt.Sprint(t.Shape), fmt.Sprint(want)}}))
		}
	}
	for _, t := range targets {
		a, b := t.factorNames()
		compare(a, t.rank, t.In)
		compare(b, t.Out, t.rank)
	}
	for _, t := range file.Tensors {
		if isFactor(t.Name) && !known[t.Name] {
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: t.Name, Err: fmt.Errorf(
				"%w: the base has no such linear layer, or target_modules do not name it", hfio.ErrUnsupported)})
		}
	}
	return found
}
