package cli

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/tokenize"
	"github.com/gopeft/gopeft/tokenize/chat"
	"github.com/gopeft/gopeft/train"
)

// writingOf says how texts become sequences of a language model: with virtual tokens before them
// or not, and with what between a text and its target.
func writingOf(files fs.FS, tokenizer *tokenize.Tokenizer, model *models.Model, inputRows bool, separator string) (train.Writing, error) {
	w := train.Writing{InputRows: inputRows, Separator: separator, End: tokenizer.SpecialIDs().Eos}
	if b, ok := model.Backbone.(models.EncoderDecoder); ok {
		w.ShiftRight = b.ShiftRight
	}
	if w.End < 0 {
		own, err := generate.ReadConfig(files, model.Config)
		if err != nil {
			return w, err
		}
		if len(own.EOS) > 0 {
			w.End = own.EOS[0]
		}
	}
	chats, err := chatTemplate(files)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	w.Chat = func(messages []train.Message, generationPrompt bool) (string, error) {
		if err != nil {
			return "", err
		}
		return chats.Render(chatMessages(messages), generationPrompt)
	}
	return w, nil
}

// unlearnt counts the examples of which no token is learnt, and returns the line of the first.
func unlearnt(features []train.Feature) (n, line int) {
	learnt := map[int]bool{}
	for _, f := range features {
		learnt[f.Line] = learnt[f.Line] || len(f.Targets) > 0
	}
	for _, at := range slices.Sorted(maps.Keys(learnt)) {
		if learnt[at] {
			continue
		}
		if n++; n == 1 {
			line = at
		}
	}
	return n, line
}

// chatTemplate reads the chat template of a base; fs.ErrNotExist: it has none.
func chatTemplate(files fs.FS) (*chat.Template, error) {
	own, err := hfio.TokenizerFiles(files)
	if err != nil {
		return nil, err
	}
	return chat.Load(own)
}

func chatMessages(messages []train.Message) []chat.Message {
	list := make([]chat.Message, len(messages))
	for i, m := range messages {
		list[i] = chat.Message(m)
	}
	return list
}

// defaultSeparator stands between a text and its target unless another is given.
const defaultSeparator = "\n"

func separatorFlag(usage, otherwise string) cli.Flag {
	return &cli.StringFlag{Name: "separator", Usage: "of CAUSAL_LM: " + usage, DefaultText: otherwise}
}

// checkSeparator reports a --separator that another task has no use for.
func checkSeparator(c *cli.Context, task models.Task) error {
	if c.IsSet("separator") && task != models.CausalLM {
		return usagef("--separator: not an option of %s, want it with %s only", task, models.CausalLM)
	}
	return nil
}

// separatorOr returns --separator or, where it is not given, another.
func separatorOr(c *cli.Context, otherwise string) string {
	if c.IsSet("separator") {
		return c.String("separator")
	}
	return otherwise
}

// separatorOf is what stands between texts and targets of new data.
func separatorOf(c *cli.Context, data *train.Data) string {
	if separates(data) {
		return separatorOr(c, defaultSeparator)
	}
	return separatorOr(c, "")
}

// separates tells whether examples are texts with targets.
func separates(data *train.Data) bool {
	_, ok := data.Columns[train.RoleTarget]
	return ok
}
