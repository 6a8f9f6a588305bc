package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/template"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/train"
)

func templateFlag() cli.Flag {
	return &cli.StringFlag{Name: "template", Usage: `P-tuning as its paper has it, on a language model: words, trained tokens [P1], [P2], …, columns of the data in braces, and the mask, as in "It was [P1][P2]. The sentiment is [MASK]. {text}"`}
}

func verbalizerFlag() cli.Flag {
	return &cli.StringFlag{Name: "verbalizer", Usage: `the words of each label in the mask of --template, "label=word,word;label=word", or a file of such lines`, DefaultText: "each label is a token of the vocabulary"}
}

// applyTemplate chooses the method that a template is for.
func applyTemplate(c *cli.Context) error {
	if c.IsSet("template") && !c.IsSet("peft-type") {
		return c.Set("peft-type", string(hfio.PTuning))
	}
	return nil
}

// checkTemplate reports options that do not go with a template.
func checkTemplate(c *cli.Context) error {
	if !c.IsSet("template") {
		if c.IsSet("verbalizer") {
			return usagef("--verbalizer: needs --template")
		}
		return nil
	}
	for _, name := range []string{"num-virtual-tokens", "labels"} {
		if c.IsSet(name) {
			return usagef("--%s: the template and the verbalizer say it, want one of the options", name)
		}
	}
	if task := enum(c.String("task-type")); task != string(models.SeqCls) {
		return usagef("--template: its answers are classes, want --task-type %s, found %s", models.SeqCls, task)
	}
	if kind := c.String("problem-type"); kind != "" && kind != models.SingleLabel {
		return usagef("--template: its answers are classes, want --problem-type %s, found %s", models.SingleLabel, kind)
	}
	return nil
}

// readTemplate reads --template and --verbalizer.
func (s *start) readTemplate(source, verbalizer string) (err error) {
	if source == "" {
		return nil
	}
	if s.template, err = template.Parse(source); err != nil {
		return usagef("--template: %w", err)
	}
	if verbalizer == "" {
		return nil
	}
	if !strings.Contains(verbalizer, "=") {
		text, err := os.ReadFile(verbalizer)
		if err != nil {
			return fmt.Errorf("--verbalizer: %w", err)
		}
		verbalizer = string(text)
	}
	if s.verbalizer, err = template.ParseVerbalizer(verbalizer); err != nil {
		return usagef("--verbalizer: %w", err)
	}
	s.labels = s.verbalizer.Labels
	return nil
}

// takeTemplate takes up the template of an adapter.
func (s *start) takeTemplate(info adapters.Info) (err error) {
	if info.Template == "" {
		return nil
	}
	if s.template, err = template.Parse(info.Template); err != nil {
		return err
	}
	if info.Verbalizer != nil {
		s.verbalizer = &template.Verbalizer{Labels: info.Labels, Words: info.Verbalizer}
	}
	s.task = models.SeqCls
	return nil
}

// encoder binds the template; nil: there is none.
func (s *start) encoder(tokenizer *tokenize.Tokenizer, base *auto.Base) (*template.Encoder, error) {
	if s.template == nil {
		return nil, nil
	}
	task, err := base.LanguageTask()
	if err != nil {
		return nil, err
	}
	return s.template.Bind(tokenizer, s.verbalizer, template.Language{Task: task, Vocab: base.Shape().Vocab})
}

// describeTemplate says in gopeft.json what the adapter stands in.
func (s *start) describeTemplate(info *adapters.Info) {
	if s.template == nil {
		return
	}
	info.Template = s.template.String()
	info.Labels, info.Verbalizer = nil, nil // the vocabulary's tokens
	if s.verbalizer != nil {
		info.Labels, info.Verbalizer = s.verbalizer.Labels, s.verbalizer.Words
	}
}

// languageModel makes the classifier of a template.
func languageModel(base *auto.Base, encoder *template.Encoder) (*models.Model, error) {
	if encoder.Template().VirtualTokens() == 0 {
		return nil, usagef("--template: found no trained token, want [P1] and more among its words")
	}
	language, err := base.Model(models.HeadSpec{Task: encoder.Task()})
	if err != nil {
		return nil, err
	}
	return encoder.Model(language)
}

// openTemplate opens the base alone with the template of the command line.
func openTemplate(c *cli.Context, base *predict.Base) (evaluation, reading, error) {
	var s start
	if err := s.readTemplate(c.String("template"), c.String("verbalizer")); err != nil {
		return nil, reading{}, err
	}
	if n := s.template.VirtualTokens(); n > 0 {
		return nil, reading{}, usagef("--template: found %d trained tokens and no --adapter that holds them, want words only", n)
	}
	encoder, err := base.Bind(s.template, s.verbalizer)
	if err != nil {
		return nil, reading{}, err
	}
	model, err := base.Classifier(encoder)
	return func(features []train.Feature) (train.Evaluation, error) {
		return train.EvaluateBase(c.Context, model, features, c.Int("batch-size"))
	}, reading{task: models.SeqCls, problemType: models.SingleLabel, labels: s.labels, maxLength: base.Shape().MaxPositions, template: encoder}, err
}
