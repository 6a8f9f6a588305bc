package hfio

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixtureDirs returns the directories below testdata/NAME.
func fixtureDirs(t testing.TB, name string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", name))
	if err != nil || len(entries) == 0 {
		t.Fatalf("no fixtures in %s: %v", name, err)
	}
	var dirs []string
	for _, entry := range entries {
		dirs = append(dirs, name+"/"+entry.Name())
	}
	return dirs
}

// TestAdapterConfigRoundTrip reads what PEFT 0.21.2 and, by its keys, older
// versions wrote, and writes the same bytes.
func TestAdapterConfigRoundTrip(t *testing.T) {
	for _, dir := range append(fixtureDirs(t, "adapters"), fixtureDirs(t, "old_configs")...) {
		t.Run(dir, func(t *testing.T) {
			want := fixture(t, dir+"/adapter_config.json")
			config, err := ParseAdapterConfig("adapter_config.json", want)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := config.Encode(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Encode() = %s, %v", got, err)
			}
		})
	}
}

// TestNewAdapterConfigIsPEFTs fills new configs with the values of PEFT's files:
// the same bytes must come out, with nothing remembered of the files.
func TestNewAdapterConfigIsPEFTs(t *testing.T) {
	for _, dir := range fixtureDirs(t, "adapters") {
		want := fixture(t, dir+"/adapter_config.json")
		config, err := ParseAdapterConfig("adapter_config.json", want)
		if err != nil {
			t.Fatal(err)
		}
		if !config.PeftType.IsPromptLearning() {
			continue
		}
		if len(config.Unknown) > 0 {
			t.Errorf("%s: unknown keys %v", dir, config.Unknown)
		}
		config.source = nil
		if got, err := config.Encode(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: Encode() = %s, %v", dir, got, err)
		}
	}
}

func TestNewAdapterConfigHasPEFTsDefaults(t *testing.T) {
	// P_TUNING as PEFT saves it for the smallest call, PromptEncoderConfig(num_virtual_tokens=3,
	// task_type="SEQ_CLS", encoder_hidden_size=5) on the fixtures' BERT.
	c := NewAdapterConfig(PTuning)
	c.TaskType, c.BaseModelNameOrPath, c.EncoderHiddenSize = SeqCls, "tiny/bert", 5
	c.NumVirtualTokens, c.TokenDim, c.NumTransformerSubmodules, c.NumAttentionHeads, c.NumLayers = 3, 8, 1, 2, 2
	c.ModulesToSave = []string{"classifier", "score", "classifier", "score"}
	got, err := c.Encode()
	if want := fixture(t, "adapters/ptuning_bert_mlp/adapter_config.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Encode() = %s, %v, want %s", got, err, want)
	}
}

// TestOldConfigsAreReadAsPEFTDoes compares the values of absent keys with those
// that PEFT 0.21.2 fills in.
func TestOldConfigsAreReadAsPEFTDoes(t *testing.T) {
	for _, dir := range fixtureDirs(t, "old_configs") {
		config, err := ParseAdapterConfig("adapter_config.json", fixture(t, dir+"/adapter_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		config.source = nil
		text, err := config.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := errors.Join(json.Unmarshal(text, &got), json.Unmarshal(fixture(t, dir+"/loaded.json"), &want)); err != nil {
			t.Fatal(err)
		}
		for key, value := range got {
			if peft, ok := want[key]; key != "peft_version" && (!ok || peft != value && key != "modules_to_save") {
				t.Errorf("%s: %s = %v, PEFT has %v", dir, key, value, peft)
			}
		}
		for key := range want {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: no %s", dir, key)
			}
		}
	}
}

func TestChangedConfigKeepsTheRest(t *testing.T) {
	text := `{"peft_type": "P_TUNING", "task_type": null, "encoder_dropout": 1E-1, "num_virtual_tokens": 3,
		"custom": {"z": 1.50, "a": "é"}, "token_dim": null, "tokenizer_name_or_path": "kept"}`
	config, err := ParseAdapterConfig("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if config.EncoderDropout != 0.1 || config.EncoderNumLayers != 2 || config.EncoderReparameterizationType != "MLP" {
		t.Errorf("read %+v", config)
	}
	config.NumVirtualTokens, config.Revision, config.TaskType = 4, "main", SeqCls
	got, err := config.Encode()
	want := `{
  "custom": {
    "a": "\u00e9",
    "z": 1.50
  },
  "encoder_dropout": 1E-1,
  "num_virtual_tokens": 4,
  "peft_type": "P_TUNING",
  "revision": "main",
  "task_type": "SEQ_CLS",
  "token_dim": null,
  "tokenizer_name_or_path": "kept"
}`
	if err != nil || string(got) != want {
		t.Errorf("Encode() = %s, %v", got, err)
	}
}

// TestChangedMethodHasTheKeysOfTheNewOne turns PEFT's P_TUNING adapter into a
// PROMPT_TUNING one: PEFT's own PROMPT_TUNING config of the same model must come out.
func TestChangedMethodHasTheKeysOfTheNewOne(t *testing.T) {
	config, err := ParseAdapterConfig("x", fixture(t, "adapters/ptuning_bert_mlp/adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config.PeftType, config.PromptTuningInit = PromptTuning, "RANDOM"
	got, err := config.Encode()
	if want := fixture(t, "adapters/prompt_bert_seq_cls/adapter_config.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Encode() = %s, %v, want %s", got, err, want)
	}
}

func TestWrongAdapterConfigs(t *testing.T) {
	text := `{"task_type": "FOO", "num_virtual_tokens": "3", "token_dim": -1, "num_layers": 2.0, "modules_to_save": "a",
		"peft_type": "PROMPT_TUNING", "tokenizer_kwargs": 3, "inference_mode": 1}`
	_, err := ParseAdapterConfig("dir/adapter_config.json", []byte(text))
	for _, want := range []string{
		`"task_type": found "FOO", want SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION or null`,
		`"num_virtual_tokens": found "3", want an integer of at least 1, or null`,
		`"token_dim": found -1`, `"num_layers": found 2.0`, `"modules_to_save": found "a", want a list of strings, or null`,
		`"tokenizer_kwargs": found 3, want an object or null`, `"inference_mode": found 1, want true or false`,
	} {
		if err == nil || !strings.Contains(err.Error(), "dir/adapter_config.json: field "+want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
	for _, text := range []string{`{}`, `{"peft_type": null}`, `{"peft_type": 3}`, `[]`, `{"peft_type": "LORA"`} {
		if _, err := ParseAdapterConfig("x", []byte(text)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

func TestEncodeReportsWrongRawValues(t *testing.T) {
	c := NewAdapterConfig(PromptTuning)
	c.TokenizerKwargs, c.Unknown = json.RawMessage("{"), map[string]json.RawMessage{"x": json.RawMessage("nul")}
	if _, err := c.Encode(); err == nil || !strings.Contains(err.Error(), "tokenizer_kwargs") || !strings.Contains(err.Error(), "unknown key x") {
		t.Errorf("err = %v", err)
	}
}
