package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/train"
)

// prepareWriting returns what lets the adapter, or the base alone, write and compares that with the targets of
// the data. All targets of one text are its references.
func prepareWriting(c *cli.Context, base *predict.Base, data *train.Data, from reading) (func() (map[string]float64, error), error) {
	predictor, err := generator(c, base)
	if err != nil {
		return nil, err
	}
	if !train.IsWriting(predictor.Task) {
		return nil, usagef("--generate: the adapter is for %s, want one for CAUSAL_LM or SEQ_2_SEQ_LM", predictor.Task)
	}
	config, err := generationConfig(c, base)
	if err != nil {
		return nil, err
	}
	if predictor.Task == models.CausalLM {
		predictor.Separator = from.writing.Separator
	}
	var prompts []predict.Prompt
	var references [][]string
	var lines []int
	seen := map[string]int{}
	for _, example := range data.Examples {
		if example.Target == nil {
			return nil, fmt.Errorf("%s: line %d: found no target, want one to compare with what is written", c.String("data"), example.Line)
		}
		at, ok := seen[example.Text]
		if !ok {
			at = len(prompts)
			seen[example.Text] = at
			prompts = append(prompts, predict.Prompt{Predictor: predictor, Text: example.Text, Config: config})
			references, lines = append(references, nil), append(lines, example.Line)
		}
		references[at] = append(references[at], *example.Target)
	}
	return func() (map[string]float64, error) {
		answers, err := base.Generate(c.Context, prompts)
		if err != nil {
			return nil, located(ofSetting(c, err), c.String("data"), lines)
		}
		texts := make([]string, len(answers))
		for i, list := range answers {
			texts[i] = list[0].Text
		}
		return train.TextMetrics(texts, references), nil
	}, nil
}
