package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/hfio"
)

// processed is a line of testdata/processors.jsonl, which compat_test/oracle/generate_fixtures.py
// made with transformers.
type processed struct {
	Settings json.RawMessage
	IDs      []int
	Prompt   int
	Scores   []float32
	After    []*float32 // nil: ruled out
}

func readProcessed(t *testing.T) []processed {
	t.Helper()
	data, err := os.ReadFile("testdata/processors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []processed
	for line := range bytes.Lines(data) {
		var p processed
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 40 {
		t.Fatalf("found %d cases, want at least 40", len(all))
	}
	return all
}

func parseConfig(t *testing.T, settings string) Config {
	t.Helper()
	file, err := hfio.ParseModelConfig(ConfigFile, []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is left of the scores is what transformers leaves.
func TestProcessors(t *testing.T) {
	for i, p := range readProcessed(t) {
		t.Run(fmt.Sprint(i, string(p.Settings)), func(t *testing.T) {
			c := parseConfig(t, string(p.Settings))
			c.process(history{p.IDs, p.Prompt}, p.Scores)
			left := Config{Temperature: 1}.best(p.Scores, 1)
			if c.DoSample {
				keep := 1
				if c.NumBeams > 1 {
					keep = len(c.EOS) + 1
				}
				left = c.candidates(p.Scores, keep)
			}
			got := map[int]float32{}
			for _, candidate := range left {
				got[candidate.id] = candidate.score
			}
			for id, want := range p.After {
				score, found := got[id]
				if found != (want != nil) {
					t.Errorf("token %d: left is %v, want %v", id, found, want != nil)
				} else if found && math.Abs(float64(score-*want)) > 1e-6*(1+math.Abs(float64(*want))) {
					t.Errorf("token %d: score %v, want %v", id, score, *want)
				}
			}
		})
	}
}

// Tokens are drawn as often as their probabilities say: Pearson's test at one in a thousand.
func TestDraw(t *testing.T) {
	scores := []float32{0.3, -1.2, 2.1, 1.9, 0.1, never, -0.4, 1.1}
	const draws = 100_000
	for _, test := range []struct {
		name     string
		config   Config
		critical float64 // of the chi-square distribution for the tokens that are left, less one
	}{
		{"all", Config{Temperature: 1, TopP: 1, TypicalP: 1}, 22.458},
		{"temperature", Config{Temperature: 0.5, TopP: 1, TypicalP: 1}, 22.458},
		{"four likeliest", Config{Temperature: 1, TopK: 4, TopP: 1, TypicalP: 1}, 16.266},
	} {
		t.Run(test.name, func(t *testing.T) {
			expected, left, sum := make([]float64, len(scores)), 0, 0.0
			for id, score := range scores {
				if test.config.TopK == 0 && score > never || score >= 0.3 {
					expected[id] = math.Exp(float64(score) / test.config.Temperature)
					sum += expected[id]
					left++
				}
			}
			seen, random := make([]float64, len(scores)), rand.New(rand.NewPCG(5, 0))
			for range draws {
				seen[draw(test.config.candidates(scores, 1), random)]++
			}
			chi := 0.0
			for id := range scores {
				want := expected[id] / sum * draws
				if want == 0 {
					if seen[id] > 0 {
						t.Errorf("token %d was ruled out and drawn %v times", id, seen[id])
					}
					continue
				}
				chi += (seen[id] - want) * (seen[id] - want) / want
			}
			if chi > test.critical {
				t.Errorf("chi-square is %.1f for %d tokens, want at most %.1f; drawn %v", chi, left, test.critical, seen)
			}
		})
	}
}

// The penalties that transformers lacks are those of OpenAI's API: of each token that was
// made, once, and for each time that it was made.
func TestPenalizeCounts(t *testing.T) {
	c := Default()
	c.FrequencyPenalty, c.PresencePenalty = 0.5, 0.25
	scores := []float32{1, 1, 1, 1}
	c.process(history{ids: []int{0, 1, 2, 2, 1, 2}, prompt: 3}, scores)
	for id, want := range []float32{1, 0.25, -0.25, 1} {
		if scores[id] != want {
			t.Errorf("token %d: score %v, want %v", id, scores[id], want)
		}
	}
}

func TestConfigProblems(t *testing.T) {
	for settings, want := range map[string]string{
		`{"temperature": "hot"}`:                          `field "temperature": found "hot", want a number`,
		`{"bad_words_ids": [[1]]}`:                        `field "bad_words_ids"`,
		`{"num_beam_groups": 2}`:                          `field "num_beam_groups"`,
		`{"early_stopping": "soon"}`:                      `field "early_stopping": found "soon", want true, false or "never"`,
		`{"eos_token_id": "x"}`:                           `field "eos_token_id": found "x", want an integer`,
		`{"encoder_repetition_penalty": 2, "top_k": 1.5}`: `field "top_k"`,
	} {
		file, err := hfio.ParseModelConfig(ConfigFile, []byte(settings))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseConfig(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: found %v, want %s", settings, err, want)
		}
	}
	wrong := Config{DoSample: true, Temperature: -1, TopP: 2, MinP: math.NaN(), NumBeams: 0, NumReturnSequences: 0, StopStrings: []string{""}}
	err := wrong.Check()
	for _, field := range []string{"max_new_tokens", "temperature", "top_p", "min_p", "typical_p", "repetition_penalty", "num_beams", "early_stopping", "num_return_sequences", "stop_strings"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if !errors.Is(err, ErrConfig) {
		t.Errorf("%v is not ErrConfig", err)
	}
	if err := Default().Check(); err != nil {
		t.Error(err)
	}
}
