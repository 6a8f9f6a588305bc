package hfio

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// configField ties a key of adapter_config.json to a field of an AdapterConfig.
type configField struct {
	key   string
	read  func(r *ConfigReader, key string) // fills the field; absent keys leave it
	value func() jsonValue                  // what the field holds
	same  func(old *jsonValue) bool         // whether old means what the field holds
}

// fields lists the keys of the config's method, in no order of meaning. Methods
// other than the prompt-learning ones have only the common keys.
// Source: peft 0.21.2, config.py and tuners/*/config.py.
func (c *AdapterConfig) fields() []configField {
	fields := []configField{
		field("peft_type", (*string)(&c.PeftType), textCodec),
		field("task_type", (*string)(&c.TaskType), taskCodec),
		field("base_model_name_or_path", &c.BaseModelNameOrPath, textCodec),
		field("revision", &c.Revision, textCodec),
		field("peft_version", &c.PeftVersion, textCodec),
		field("inference_mode", &c.InferenceMode, boolCodec),
		field("auto_mapping", &c.AutoMapping, objectCodec),
		field("modules_to_save", &c.ModulesToSave, stringsCodec),
	}
	switch {
	case c.PeftType == Lora:
		return append(fields, c.loraFields()...)
	case !c.PeftType.IsPromptLearning():
		return fields
	}
	fields = append(
		fields,
		field("num_virtual_tokens", &c.NumVirtualTokens, sizeCodec),
		field("token_dim", &c.TokenDim, sizeCodec),
		field("num_transformer_submodules", &c.NumTransformerSubmodules, sizeCodec),
		field("num_attention_heads", &c.NumAttentionHeads, sizeCodec),
		field("num_layers", &c.NumLayers, sizeCodec),
	)
	return append(fields, c.methodFields()...)
}

func (c *AdapterConfig) methodFields() []configField {
	prompt := []configField{
		field("prompt_tuning_init", &c.PromptTuningInit, textCodec),
		field("prompt_tuning_init_text", &c.PromptTuningInitText, textCodec),
		field("tokenizer_name_or_path", &c.TokenizerNameOrPath, textCodec),
		field("tokenizer_kwargs", &c.TokenizerKwargs, objectCodec),
	}
	switch c.PeftType {
	case PromptTuning:
		return prompt
	case PTuning:
		return []configField{
			field("encoder_reparameterization_type", &c.EncoderReparameterizationType, textCodec),
			field("encoder_hidden_size", &c.EncoderHiddenSize, sizeCodec),
			field("encoder_num_layers", &c.EncoderNumLayers, sizeCodec),
			field("encoder_dropout", &c.EncoderDropout, floatCodec),
		}
	case PrefixTuning:
		return []configField{
			field("encoder_hidden_size", &c.EncoderHiddenSize, sizeCodec),
			field("init_weights", &c.InitWeights, textCodec),
			field("prefix_projection", &c.PrefixProjection, boolCodec),
		}
	case MultitaskPromptTuning:
		return append(
			prompt,
			field("prompt_tuning_init_state_dict_path", &c.PromptTuningInitStateDictPath, textCodec),
			field("prompt_tuning_init_task", &c.PromptTuningInitTask, countCodec),
			field("num_ranks", &c.NumRanks, countCodec),
			field("num_tasks", &c.NumTasks, countCodec),
		)
	case CPT:
		return []configField{
			field("cpt_token_ids", &c.CPTTokenIDs, intsCodec),
			field("cpt_mask", &c.CPTMask, intsCodec),
			field("cpt_tokens_type_mask", &c.CPTTokensTypeMask, intsCodec),
			field("opt_weighted_loss_type", &c.OptWeightedLossType, textCodec),
			field("opt_loss_decay_factor", &c.OptLossDecayFactor, floatCodec),
			field("opt_projection_epsilon", &c.OptProjectionEpsilon, floatCodec),
			field("opt_projection_format_epsilon", &c.OptProjectionFormatEpsilon, floatCodec),
			field("tokenizer_name_or_path", &c.TokenizerNameOrPath, textCodec),
		}
	case Cartridge:
		return []configField{field("num_frozen_tokens", &c.NumFrozenTokens, countCodec)}
	}
	return nil
}

// fieldValues returns the value of every key of a config.
func fieldValues(c AdapterConfig) map[string]jsonValue {
	values := map[string]jsonValue{}
	for _, f := range c.fields() {
		values[f.key] = f.value()
	}
	return values
}

// codec turns a JSON value into a Go value and back.
type codec[T any] struct {
	want   string
	decode func(*jsonValue) (T, bool)
	encode func(T) jsonValue
}

func field[T any](key string, at *T, c codec[T]) configField {
	return configField{
		key:   key,
		read:  func(r *ConfigReader, key string) { *at = optionalNull(r, key, *at, c) },
		value: func() jsonValue { return c.encode(*at) },
		same: func(old *jsonValue) bool {
			meant := jsonValue{}
			if old.kind != jsonNull {
				before, ok := c.decode(old)
				if !ok {
					return false
				}
				meant = c.encode(before)
			} else {
				var zero T
				meant = c.encode(zero)
			}
			value := c.encode(*at)
			return meant.equal(&value)
		},
	}
}

// optionalNull reads a key whose null is the zero value and not the default.
func optionalNull[T any](r *ConfigReader, key string, def T, c codec[T]) T {
	if v, ok := r.object.get(key); ok && v.kind == jsonNull {
		var zero T
		return zero
	}
	return optional(r, key, def, c.want, c.decode)
}

var (
	textCodec = codec[string]{"a string or null", jsonText, func(s string) jsonValue {
		if s == "" {
			return jsonValue{}
		}
		return jsonValue{kind: jsonString, text: s}
	}}
	taskCodec = codec[string]{
		"SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION or null",
		jsonTask, textCodec.encode,
	}
	boolCodec = codec[bool]{"true or false", jsonTruth, func(b bool) jsonValue {
		return jsonValue{kind: jsonBool, truth: b}
	}}
	sizeCodec = codec[int]{"an integer of at least 1, or null", jsonNullableSize, func(n int) jsonValue {
		if n == 0 {
			return jsonValue{}
		}
		return jsonIntValue(n)
	}}
	countCodec  = codec[int]{"an integer", jsonInt, jsonIntValue}
	anyCodec    = codec[json.RawMessage]{"a JSON value", jsonRawAny, jsonRawValue}
	floatCodec  = codec[float64]{"a number", jsonFloat, jsonFloatValue}
	objectCodec = codec[json.RawMessage]{"an object or null", jsonRawObject, jsonRawValue}

	stringsCodec = codec[[]string]{"a list of strings, or null", jsonStrings, func(list []string) jsonValue {
		return jsonListValue(list, func(s string) jsonValue { return jsonValue{kind: jsonString, text: s} })
	}}
	intsCodec = codec[[]int]{"a list of integers, or null", jsonInts, func(list []int) jsonValue {
		return jsonListValue(list, jsonIntValue)
	}}
)

func jsonTask(v *jsonValue) (string, bool) {
	switch TaskType(v.text) {
	case SeqCls, TokenCls, QuestionAns, FeatureExtraction, CausalLM, Seq2SeqLM:
		return v.text, v.kind == jsonString
	}
	return "", false
}

// jsonNullableSize reads 0 as null: no size of an adapter is 0.
func jsonNullableSize(v *jsonValue) (int, bool) {
	n, ok := jsonInt(v)
	return n, ok && n >= 0
}

func jsonRawObject(v *jsonValue) (json.RawMessage, bool) {
	return appendPythonJSON(nil, v, 0), v.kind == jsonObject
}

func jsonRawAny(v *jsonValue) (json.RawMessage, bool) { return appendPythonJSON(nil, v, 0), true }

func jsonIntValue(n int) jsonValue { return jsonValue{kind: jsonNumber, text: strconv.Itoa(n)} }

func jsonFloatValue(f float64) jsonValue { return jsonValue{kind: jsonNumber, text: pythonFloat(f)} }

// jsonRawValue holds JSON that Encode has checked; see checkRaw.
func jsonRawValue(raw json.RawMessage) jsonValue {
	if len(raw) == 0 {
		return jsonValue{}
	}
	v, err := parseJSON("", raw)
	if err != nil {
		return jsonValue{}
	}
	return v
}

func jsonListValue[T any](list []T, encode func(T) jsonValue) jsonValue {
	if list == nil {
		return jsonValue{}
	}
	v := jsonValue{kind: jsonArray}
	for _, item := range list {
		v.items = append(v.items, encode(item))
	}
	return v
}

// checkRaw reports fields of raw JSON that hold something else.
func (c *AdapterConfig) checkRaw() error {
	var found problems
	for _, field := range []struct {
		key string
		raw json.RawMessage
	}{
		{"auto_mapping", c.AutoMapping},
		{"tokenizer_kwargs", c.TokenizerKwargs},
		{"target_modules", c.TargetModules},
		{"exclude_modules", c.ExcludeModules},
		{"layers_to_transform", c.LayersToTransform},
		{"layers_pattern", c.LayersPattern},
		{"init_lora_weights", c.InitLoraWeights},
		{"rank_pattern", c.RankPattern},
		{"alpha_pattern", c.AlphaPattern},
	} {
		if len(field.raw) > 0 {
			_, err := parseJSON(fmt.Sprintf("field %q", field.key), field.raw)
			found.add(err)
		}
	}
	return found.err()
}

// pythonFloat prints a float as Python's repr does: the shortest digits that read
// back as the same number, always with a point or an exponent.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
