package generate

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/gopeft/gopeft/hfio"
)

// ErrConfig: a setting that no text can be made with.
var ErrConfig = errors.New("wrong generation config")

// ConfigError is a value that a setting cannot have.
type ConfigError struct {
	Field string // as GenerationConfig names it: num_beams
	Value any
	Want  string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%v: %s is %v, want %s", ErrConfig, e.Field, e.Value, e.Want)
}

// Unwrap returns [ErrConfig].
func (e *ConfigError) Unwrap() error { return ErrConfig }

// EarlyStopping says when a beam search ends.
type EarlyStopping string

// The values of transformers' early_stopping: false, true and "never".
const (
	StopByHeuristic EarlyStopping = "false" // when a better answer is unlikely
	StopWhenFull    EarlyStopping = "true"  // when there are as many answers as beams
	StopNever       EarlyStopping = "never" // when there can be no better answer
)

// None is the id of a token that there is none of.
const None = -1

// Config says how tokens are chosen. Names and meaning are those of transformers'
// GenerationConfig, but for the two penalties that it lacks. Begin at [Default] or at
// [ReadConfig]: the zero Config is not one.
type Config struct {
	MaxNewTokens int
	MinNewTokens int // no end before them
	MinLength    int // no end before so many tokens, those of the prompt included; counts only where MinNewTokens is 0

	DoSample    bool // draw the tokens; else the likeliest are taken
	Temperature float64
	TopK        int     // only the likeliest; 0: all
	TopP        float64 // only the likeliest that together have this probability; 1: all
	MinP        float64 // only those with this share of the likeliest's probability; 0: all
	TypicalP    float64 // only the most typical that together have this probability; 1: all
	Seed        uint64

	RepetitionPenalty float64 // of tokens that the prompt or the answer has; 1: none
	FrequencyPenalty  float64 // for each time that the answer has a token, as in OpenAI's API; 0: none
	PresencePenalty   float64 // of tokens that the answer has; 0: none
	NoRepeatNGramSize int     // no n tokens in a row twice; 0: whatever comes

	NumBeams           int // 1: no beam search
	LengthPenalty      float64
	EarlyStopping      EarlyStopping
	NumReturnSequences int

	EOS          []int    // each ends an answer
	ForcedBOS    int      // first token of an answer, or None
	ForcedEOS    int      // last token of an answer of MaxNewTokens, or None
	DecoderStart int      // what an encoder-decoder's answer is written behind, or None
	StopStrings  []string // in what was made alone, where transformers lets one begin in the prompt
}

// Default returns transformers' defaults, with room for a longer answer than its 20 tokens.
// Source: transformers 5.23, generation/configuration_utils.py, _get_default_generation_params.
func Default() Config {
	return Config{
		MaxNewTokens: 128, Temperature: 1, TopK: 50, TopP: 1, TypicalP: 1, RepetitionPenalty: 1,
		NumBeams: 1, LengthPenalty: 1, EarlyStopping: StopByHeuristic, NumReturnSequences: 1,
		ForcedBOS: None, ForcedEOS: None, DecoderStart: None,
	}
}

// ConfigFile is where a model directory has its own settings.
const ConfigFile = "generation_config.json"

// ReadConfig returns a model's own settings: those of generation_config.json and, where
// there is no such file, the special tokens of config.json. A setting that would change
// the answers and is not known here is an error; but max_length, which counts the prompt, is
// not looked at.
func ReadConfig(fsys fs.FS, model hfio.ModelConfig) (Config, error) {
	own, err := hfio.OpenConfig(fsys, ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		own, err = model, nil
	}
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(own)
}

// ParseConfig returns the settings of a generation_config.json.
func ParseConfig(file hfio.ModelConfig) (Config, error) {
	r, c := file.Reader(), Default()
	c.MaxNewTokens = r.SizeOr("max_new_tokens", c.MaxNewTokens)
	c.MinNewTokens = r.IntOr("min_new_tokens", 0)
	if minLength := r.IntOr("min_length", 0); !r.Has("min_new_tokens") { // which takes its place, at 0 too
		c.MinLength = minLength
	}
	c.StopStrings = readStrings(r, "stop_strings")
	c.DoSample = r.BoolOr("do_sample", false)
	c.Temperature = r.FloatOr("temperature", c.Temperature)
	c.TopK = r.IntOr("top_k", c.TopK)
	c.TopP = r.FloatOr("top_p", c.TopP)
	c.MinP = r.FloatOr("min_p", 0)
	c.TypicalP = r.FloatOr("typical_p", c.TypicalP)
	c.RepetitionPenalty = r.FloatOr("repetition_penalty", c.RepetitionPenalty)
	c.NoRepeatNGramSize = r.IntOr("no_repeat_ngram_size", 0)
	c.NumBeams = r.SizeOr("num_beams", c.NumBeams)
	c.LengthPenalty = r.FloatOr("length_penalty", c.LengthPenalty)
	c.EarlyStopping = readEarlyStopping(r)
	c.NumReturnSequences = r.SizeOr("num_return_sequences", c.NumReturnSequences)
	c.EOS = readIDs(r, "eos_token_id")
	c.ForcedBOS = r.IntOr("forced_bos_token_id", None)
	c.ForcedEOS = r.IntOr("forced_eos_token_id", None)
	c.DecoderStart = r.IntOr("decoder_start_token_id", r.IntOr("bos_token_id", None))
	rejectUnknown(r)
	return c, r.Err()
}

// readIDs returns a number or a list of numbers.
func readIDs(r *hfio.ConfigReader, key string) []int {
	if raw := r.RawOr(key, nil); len(raw) > 0 && raw[0] == '[' {
		return r.Ints(key)
	}
	if !r.Has(key) {
		return nil
	}
	return []int{r.Int(key)}
}

// readStrings returns a text or a list of texts.
func readStrings(r *hfio.ConfigReader, key string) []string {
	if raw := r.RawOr(key, nil); len(raw) > 0 && raw[0] == '"' {
		return []string{r.String(key)}
	}
	return r.StringsOr(key, nil)
}

func readEarlyStopping(r *hfio.ConfigReader) EarlyStopping {
	switch string(r.RawOr("early_stopping", []byte("false"))) {
	case "false":
		return StopByHeuristic
	case "true":
		return StopWhenFull
	case `"never"`:
		return StopNever
	}
	r.Reject("early_stopping", `true, false or "never"`)
	return StopByHeuristic
}

// unknown are the fields of GenerationConfig that change the answers and that this package
// lacks, with the values that change nothing.
var unknown = map[string][]string{
	"max_time": nil, "renormalize_logits": {"false"}, "remove_invalid_values": {"false"}, "top_h": nil, "epsilon_cutoff": {"0", "0.0"}, "eta_cutoff": {"0", "0.0"},
	"encoder_repetition_penalty": {"1", "1.0"}, "encoder_no_repeat_ngram_size": {"0"}, "bad_words_ids": nil,
	"exponential_decay_length_penalty": nil, "suppress_tokens": {"[]"}, "begin_suppress_tokens": {"[]"},
	"sequence_bias": nil, "guidance_scale": {"1", "1.0"}, "watermarking_config": nil, "penalty_alpha": {"0", "0.0"},
	"token_healing": {"false"}, "dola_layers": nil, "diversity_penalty": {"0", "0.0"}, "num_beam_groups": {"1"}, "constraints": nil, "force_words_ids": nil,
}

func rejectUnknown(r *hfio.ConfigReader) {
	for _, key := range r.Keys() {
		harmless, found := unknown[key]
		if found && r.Has(key) && !slices.Contains(harmless, string(r.RawOr(key, nil))) {
			r.Reject(key, "nothing: it is not known here")
		}
	}
}

// Check reports everything that is wrong with the settings, each a *ConfigError.
func (c Config) Check() error {
	var found []error
	want := func(ok bool, field string, value any, text string) {
		if !ok {
			found = append(found, &ConfigError{field, value, text})
		}
	}
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	want(c.MaxNewTokens > 0, "max_new_tokens", c.MaxNewTokens, "at least 1")
	want(c.MinNewTokens >= 0 && c.MinNewTokens <= c.MaxNewTokens, "min_new_tokens", c.MinNewTokens, "0 to max_new_tokens")
	if c.DoSample {
		want(c.Temperature >= 1e-6 && finite(c.Temperature), "temperature", c.Temperature, "more than 0; without do_sample the likeliest tokens are taken")
		want(c.TopK >= 0, "top_k", c.TopK, "at least 0")
		want(c.TopP >= 0 && c.TopP <= 1, "top_p", c.TopP, "0 to 1")
		want(c.MinP >= 0 && c.MinP <= 1, "min_p", c.MinP, "0 to 1")
		want(c.TypicalP > 0 && c.TypicalP <= 1, "typical_p", c.TypicalP, "more than 0, at most 1")
	}
	want(c.RepetitionPenalty > 0 && finite(c.RepetitionPenalty), "repetition_penalty", c.RepetitionPenalty, "more than 0")
	want(finite(c.FrequencyPenalty), "frequency_penalty", c.FrequencyPenalty, "a number")
	want(finite(c.PresencePenalty), "presence_penalty", c.PresencePenalty, "a number")
	want(c.NoRepeatNGramSize >= 0, "no_repeat_ngram_size", c.NoRepeatNGramSize, "at least 0")
	want(c.NumBeams > 0, "num_beams", c.NumBeams, "at least 1")
	want(finite(c.LengthPenalty), "length_penalty", c.LengthPenalty, "a number")
	want(slices.Contains([]EarlyStopping{StopByHeuristic, StopWhenFull, StopNever}, c.EarlyStopping), "early_stopping", c.EarlyStopping, "false, true or never")
	want(c.NumReturnSequences > 0, "num_return_sequences", c.NumReturnSequences, "at least 1")
	want(c.NumBeams == 1 || c.NumReturnSequences <= c.NumBeams, "num_return_sequences", c.NumReturnSequences, "at most num_beams")
	want(c.NumBeams > 1 || c.DoSample || c.NumReturnSequences == 1, "num_return_sequences", c.NumReturnSequences, "1: without do_sample or beams all answers are the same")
	want(!slices.Contains(c.StopStrings, ""), "stop_strings", c.StopStrings, "no empty string")
	return errors.Join(found...)
}
