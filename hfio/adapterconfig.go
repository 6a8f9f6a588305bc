package hfio

import (
	"encoding/json"
	"maps"
	"slices"
)

// PeftType is the method of an adapter.
type PeftType string

// The prompt-learning methods of PEFT 0.21.2, and LoRA. Any other value is kept as it is.
const (
	PromptTuning          PeftType = "PROMPT_TUNING"
	PTuning               PeftType = "P_TUNING"
	PrefixTuning          PeftType = "PREFIX_TUNING"
	MultitaskPromptTuning PeftType = "MULTITASK_PROMPT_TUNING"
	CPT                   PeftType = "CPT"
	Cartridge             PeftType = "CARTRIDGE"
	Lora                  PeftType = "LORA"
)

// TaskType is what the base model is used for; "" stands for null.
type TaskType string

// The task types of PEFT.
const (
	SeqCls            TaskType = "SEQ_CLS"
	TokenCls          TaskType = "TOKEN_CLS"
	QuestionAns       TaskType = "QUESTION_ANS"
	FeatureExtraction TaskType = "FEATURE_EXTRACTION"
	CausalLM          TaskType = "CAUSAL_LM"
	Seq2SeqLM         TaskType = "SEQ_2_SEQ_LM"
)

// PeftVersion is the version of PEFT whose files a new adapter is written like.
const PeftVersion = "0.21.2"

// AdapterConfig is an adapter_config.json. "", 0 and nil stand for null in the
// fields that may be null; the comment names those for which they do not.
//
// Start a new one at [NewAdapterConfig]. A field that does not belong to the
// PeftType is not written.
type AdapterConfig struct {
	PeftType            PeftType
	TaskType            TaskType
	BaseModelNameOrPath string
	Revision            string
	PeftVersion         string // written since PEFT 0.18
	InferenceMode       bool   // PEFT always writes true and ignores it when loading
	AutoMapping         json.RawMessage
	ModulesToSave       []string // nil: null; PEFT repeats names in it: a set

	// Sizes, of every prompt-learning method.
	NumVirtualTokens         int
	TokenDim                 int
	NumTransformerSubmodules int
	NumAttentionHeads        int
	NumLayers                int

	// PROMPT_TUNING, MULTITASK_PROMPT_TUNING.
	PromptTuningInit     string // RANDOM, TEXT, SAMPLE_VOCAB, …; anything else counts as RANDOM
	PromptTuningInitText string
	TokenizerNameOrPath  string // CPT too
	TokenizerKwargs      json.RawMessage

	// P_TUNING; the hidden size PREFIX_TUNING too.
	EncoderReparameterizationType string // MLP, LSTM
	EncoderHiddenSize             int
	EncoderNumLayers              int
	EncoderDropout                float64

	// PREFIX_TUNING.
	PrefixProjection bool
	InitWeights      string // "zero"

	// MULTITASK_PROMPT_TUNING. 0 is a number here.
	PromptTuningInitStateDictPath string
	PromptTuningInitTask          int
	NumRanks                      int
	NumTasks                      int

	// CPT. 0 is a number in the floats.
	CPTTokenIDs                []int
	CPTMask                    []int
	CPTTokensTypeMask          []int
	OptWeightedLossType        string // none, decay
	OptLossDecayFactor         float64
	OptProjectionEpsilon       float64
	OptProjectionFormatEpsilon float64

	// CARTRIDGE. 0 is a number here.
	NumFrozenTokens int

	// LORA. 0 is a number here. What PEFT takes as one of several types is JSON: a string
	// (a pattern) or a list of names in TargetModules, ExcludeModules and LayersPattern, an
	// integer or a list of them in LayersToTransform, true, false or a name in
	// InitLoraWeights. The settings of PEFT that have no field here are in Unknown.
	R                 int
	LoraAlpha         float64
	LoraDropout       float64
	Bias              string // none, all, lora_only: which of the base's biases are trained
	LoraBias          bool   // lora_B has a bias
	UseRSLora         bool
	UseDora           bool
	FanInFanOut       bool
	TargetModules     json.RawMessage
	ExcludeModules    json.RawMessage
	LayersToTransform json.RawMessage
	LayersPattern     json.RawMessage
	InitLoraWeights   json.RawMessage
	RankPattern       json.RawMessage // an object of numbers, by module
	AlphaPattern      json.RawMessage

	// Unknown holds every key that the fields above do not, with its JSON. It is
	// written too. PEFT drops such keys with a warning.
	Unknown map[string]json.RawMessage

	// source holds the values as they were read, so that what is not changed is
	// written as it was; nil for a config made in Go.
	source *jsonValue
}

// NewAdapterConfig returns a config with PEFT's defaults for a prompt-learning
// method or LoRA, as PEFT would save it.
func NewAdapterConfig(method PeftType) AdapterConfig {
	c := defaultAdapterConfig(method)
	if method == Lora {
		c.Unknown = LoraDefaults()
	}
	c.PeftVersion, c.InferenceMode = PeftVersion, true
	return c
}

// defaultAdapterConfig holds the values that PEFT takes for absent keys.
func defaultAdapterConfig(method PeftType) AdapterConfig {
	c := AdapterConfig{PeftType: method}
	switch method {
	case PromptTuning:
		c.PromptTuningInit = "RANDOM"
	case PTuning:
		c.EncoderReparameterizationType, c.EncoderNumLayers = "MLP", 2
	case MultitaskPromptTuning:
		c.PromptTuningInit, c.NumRanks, c.NumTasks = "RANDOM", 1, 1
	case CPT:
		c.OptWeightedLossType, c.OptLossDecayFactor = "none", 1
		c.OptProjectionEpsilon, c.OptProjectionFormatEpsilon = 0.1, 0.1
	case Cartridge:
		c.NumFrozenTokens = 1
	case Lora:
		c.R, c.LoraAlpha, c.Bias = 8, 8, "none"
		c.InitLoraWeights = json.RawMessage("true")
		c.RankPattern, c.AlphaPattern = json.RawMessage("{}"), json.RawMessage("{}")
	}
	return c
}

// IsPromptLearning tells whether the method is one of PEFT's prompt-learning ones.
func (m PeftType) IsPromptLearning() bool {
	switch m {
	case PromptTuning, PTuning, PrefixTuning, MultitaskPromptTuning, CPT, Cartridge:
		return true
	}
	return false
}

// ParseAdapterConfig reads an adapter_config.json of any version of PEFT; keys
// that it lacks get PEFT's defaults. file names it in errors. The errors are
// [FieldError] values, all of them joined; the config then holds what could be read.
func ParseAdapterConfig(file string, data []byte) (AdapterConfig, error) {
	root, err := parseJSONObject(file, data)
	if err != nil {
		return AdapterConfig{}, err
	}
	r := &ConfigReader{file: file, object: &root, found: &problems{}}
	c := defaultAdapterConfig(PeftType(r.String("peft_type")))
	c.source = &root
	known := c.fields()
	for _, f := range known {
		f.read(r, f.key)
	}
	for _, f := range root.fields {
		if !slices.ContainsFunc(known, func(k configField) bool { return k.key == f.key }) {
			if c.Unknown == nil {
				c.Unknown = map[string]json.RawMessage{}
			}
			c.Unknown[f.key] = appendPythonJSON(nil, &f.value, 0)
		}
	}
	return c, r.Err()
}

// Encode returns the file as PEFT writes it: sorted keys, indented by 2, ASCII
// only, floats as Python prints them, no newline at the end.
//
// A config that was read keeps the keys it had, plus those whose fields were given
// a value since, and every number that was not changed stays as it was written. A
// config made in Go, or given another PeftType, has exactly the keys of PEFT 0.21.2
// for its method, plus the unknown ones.
func (c AdapterConfig) Encode() ([]byte, error) {
	object := jsonValue{kind: jsonObject}
	c.dropSourceOfOtherMethod()
	defaults := fieldValues(defaultAdapterConfig(c.PeftType))
	for _, f := range c.fields() {
		standard := defaults[f.key]
		if value, ok := c.written(f, &standard); ok {
			object.fields = append(object.fields, jsonField{f.key, value})
		}
	}
	var found problems
	for _, key := range slices.Sorted(maps.Keys(c.Unknown)) {
		value, err := parseJSON("unknown key "+key, c.Unknown[key])
		found.add(err)
		object.fields = append(object.fields, jsonField{key, value})
	}
	found.add(c.checkRaw())
	return appendPythonJSON(nil, &object, 0), found.err()
}

// written returns what stands in the file for a field; ok is false where it is left out.
func (c *AdapterConfig) written(f configField, standard *jsonValue) (value jsonValue, ok bool) {
	value = f.value()
	if c.source == nil {
		return value, true
	}
	old, ok := c.source.get(f.key)
	if !ok {
		return value, !value.equal(standard)
	}
	if f.same(old) {
		return *old, true
	}
	return value, true
}

// dropSourceOfOtherMethod forgets the values read if the method was changed since:
// the keys of the old one mean nothing to the new one.
func (c *AdapterConfig) dropSourceOfOtherMethod() {
	if c.source == nil {
		return
	}
	if method, _ := c.source.get("peft_type"); method == nil || method.text != string(c.PeftType) {
		c.source = nil
	}
}
