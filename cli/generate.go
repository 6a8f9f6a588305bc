package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/generate"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/tokenize/chat"
)

func generateCommand() *cli.Command {
	return &cli.Command{
		Name:      "generate",
		Usage:     "go on from a text, or answer it, with an adapter or a base alone",
		ArgsUsage: "[TEXT]",
		Description: `Goes on from TEXT, from each line of --input, from each object {"text": ...} of it with --jsonl or, where there is neither, from
each line of standard input. Of one text the answer is written as it is made. --interactive asks for texts.

Settings that are not given are those of the base's generation_config.json, else transformers' own: the likeliest token each time.

Example:
   gopeft generate --base SmolLM2-135M --adapter my-adapter --do-sample --temperature 0.7 "Once upon a time"`,
		Flags: append([]cli.Flag{
			baseFlag(),
			dtypeFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "the adapter's directory", DefaultText: "none"},
			&cli.StringFlag{Name: "task-type", Usage: "without --adapter: CAUSAL_LM or SEQ_2_SEQ_LM", DefaultText: "the base's own"},
			&cli.IntFlag{Name: "task-id", Usage: "of an adapter of several tasks: the one of the texts, from 0"},
			&cli.StringFlag{Name: "input", Usage: "a file of texts, one a line; -: standard input"},
			&cli.BoolFlag{Name: "jsonl", Usage: `read {"text": ...} a line`},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "ask for texts, until the input ends"},
			separatorFlag("what is put behind a text", "as the adapter was trained"),
			&cli.BoolFlag{Name: "no-special-tokens", Usage: "add none to the texts, and no separator"},
			&cli.BoolFlag{Name: "chat", Usage: "each text is a user's message, which the base's chat template puts in its place"},
			&cli.StringFlag{Name: "system", Usage: "of --chat: the message before it, which says how to answer"},
			jsonFlag("print one JSON object a line"),
		}, generationFlags()...),
		Action: runGenerate,
	}
}

// generationFlags have the names that transformers' GenerationConfig gives them.
func generationFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "max-new-tokens", Usage: "end an answer after so many", DefaultText: fmt.Sprint(generate.Default().MaxNewTokens)},
		&cli.IntFlag{Name: "min-new-tokens", Usage: "let no answer end before so many", DefaultText: "0"},
		&cli.BoolFlag{Name: "do-sample", Usage: "draw the tokens by their probabilities"},
		&cli.Float64Flag{Name: "temperature", Usage: "of --do-sample: below 1 favours the likelier ones, above 1 the others", DefaultText: "1"},
		&cli.IntFlag{Name: "top-k", Usage: "of --do-sample: only the likeliest; 0: all", DefaultText: "50"},
		&cli.Float64Flag{Name: "top-p", Usage: "of --do-sample: only the likeliest that have this probability together", DefaultText: "1"},
		&cli.Float64Flag{Name: "min-p", Usage: "of --do-sample: only those with this share of the likeliest's probability", DefaultText: "0"},
		&cli.Float64Flag{Name: "typical-p", Usage: "of --do-sample: only the most typical that have this probability together", DefaultText: "1"},
		&cli.Uint64Flag{Name: "seed", Usage: "of --do-sample", Value: 42},
		&cli.Float64Flag{Name: "repetition-penalty", Usage: "of tokens that the text or the answer has", DefaultText: "1"},
		&cli.Float64Flag{Name: "frequency-penalty", Usage: "for each time that the answer has a token", DefaultText: "0"},
		&cli.Float64Flag{Name: "presence-penalty", Usage: "of tokens that the answer has", DefaultText: "0"},
		&cli.IntFlag{Name: "no-repeat-ngram-size", Usage: "no so many tokens in a row twice", DefaultText: "0"},
		&cli.IntFlag{Name: "num-beams", Usage: "answers followed at once, for the likeliest", DefaultText: "1"},
		&cli.Float64Flag{Name: "length-penalty", Usage: "of --num-beams: more than 0 favours long answers", DefaultText: "1"},
		&cli.StringFlag{Name: "early-stopping", Usage: "of --num-beams: true, false or never", DefaultText: "false"},
		&cli.IntFlag{Name: "num-return-sequences", Usage: "answers to each text", DefaultText: "1"},
		&cli.StringSliceFlag{Name: "stop-strings", Usage: "end an answer before this text; may be given several times", KeepSpace: true},
	}
}

// generationConfig is the base's own, with what the command line says.
func generationConfig(c *cli.Context, base *predict.Base) (generate.Config, error) {
	config, err := base.GenerationConfig()
	if err != nil {
		return config, err
	}
	integer := func(name string, into *int) {
		if c.IsSet(name) {
			*into = c.Int(name)
		}
	}
	number := func(name string, into *float64) {
		if c.IsSet(name) {
			*into = c.Float64(name)
		}
	}
	integer("max-new-tokens", &config.MaxNewTokens)
	integer("min-new-tokens", &config.MinNewTokens)
	integer("top-k", &config.TopK)
	integer("no-repeat-ngram-size", &config.NoRepeatNGramSize)
	integer("num-beams", &config.NumBeams)
	integer("num-return-sequences", &config.NumReturnSequences)
	number("temperature", &config.Temperature)
	number("top-p", &config.TopP)
	number("min-p", &config.MinP)
	number("typical-p", &config.TypicalP)
	number("repetition-penalty", &config.RepetitionPenalty)
	number("frequency-penalty", &config.FrequencyPenalty)
	number("presence-penalty", &config.PresencePenalty)
	number("length-penalty", &config.LengthPenalty)
	if c.IsSet("do-sample") {
		config.DoSample = c.Bool("do-sample")
	}
	if c.IsSet("early-stopping") {
		config.EarlyStopping = generate.EarlyStopping(c.String("early-stopping"))
	}
	if c.IsSet("min-new-tokens") { // 0, too, takes the place of the base's min_length
		config.MinLength = 0
	}
	if c.IsSet("stop-strings") {
		config.StopStrings = c.StringSlice("stop-strings")
	}
	config.Seed = c.Uint64("seed")
	if err := ofSetting(c, config.Check()); err != nil {
		return config, &usageError{err}
	}
	return config, checkUsed(c, config)
}

// ofSetting says of the options that set them what is wrong with settings.
func ofSetting(c *cli.Context, err error) error {
	return mapErrors(err, func(err error) error {
		var input *predict.InputError
		var wrong *generate.ConfigError
		switch {
		case errors.As(err, &input):
			return &predict.InputError{Input: input.Input, Err: ofSetting(c, input.Err)}
		case errors.As(err, &wrong):
			if name := strings.ReplaceAll(wrong.Field, "_", "-"); c.IsSet(name) {
				return usagef("--%s: found %v, want %s", name, wrong.Value, wrong.Want)
			}
		}
		return err
	})
}

// checkUsed reports options that the way of writing has no use for.
func checkUsed(c *cli.Context, config generate.Config) error {
	for _, beside := range []struct {
		option string
		on     bool
		names  []string
	}{
		{"do-sample", config.DoSample, []string{"temperature", "top-k", "top-p", "min-p", "typical-p", "seed"}},
		{"num-beams of 2 and more", config.NumBeams > 1, []string{"length-penalty", "early-stopping"}},
	} {
		for _, name := range beside.names {
			if c.IsSet(name) && !beside.on {
				return usagef("--%s: has no effect without --%s", name, beside.option)
			}
		}
	}
	return nil
}

func runGenerate(c *cli.Context) error {
	if err := checkSources(c); err != nil {
		return err
	}
	base, err := openBase(c, baseName(c))
	if err != nil {
		return err
	}
	defer base.Close()
	warnUnfinished(c)
	g := &generation{c: c, base: base}
	if c.Bool("chat") {
		if g.chat, err = chatTemplate(base.Files()); err != nil {
			return fmt.Errorf("%s: --chat: %w", baseName(c), err)
		}
	}
	if g.config, err = generationConfig(c, base); err != nil {
		return err
	}
	if g.predictor, err = generator(c, base); err != nil {
		return err
	}
	if err := checkSeparator(c, g.predictor.Task); err != nil {
		return err
	}
	if g.predictor.TaskID, err = taskID(c, g.predictor); err != nil {
		return err
	}
	g.predictor.Separator = separatorOr(c, g.predictor.Separator)
	switch {
	case c.Bool("interactive"):
		return g.interact()
	case c.NArg() == 1:
		return g.one(c.Args().First())
	}
	return g.all()
}

// checkSources wants the texts from one place.
func checkSources(c *cli.Context) error {
	if c.NArg() > 1 {
		return usagef("generate: found %d arguments, want one TEXT, in quotes", c.NArg())
	}
	if c.IsSet("system") && !c.Bool("chat") {
		return usagef("--system: needs --chat")
	}
	if c.IsSet("separator") && (c.Bool("chat") || c.Bool("no-special-tokens")) {
		return usagef("--separator: not with --chat or --no-special-tokens, which take a text as it is")
	}
	sources := c.NArg()
	for _, name := range []string{"input", "interactive"} {
		if c.IsSet(name) {
			sources++
		}
	}
	if sources > 1 {
		return usagef("generate: want one of TEXT, --input and --interactive")
	}
	return nil
}

// generator loads the adapter or, without one, takes the base alone.
func generator(c *cli.Context, base *predict.Base) (*predict.Predictor, error) {
	dir := c.String("adapter")
	if dir == "" {
		return base.Alone(models.Task(enum(c.String("task-type"))))
	}
	if c.IsSet("task-type") {
		return nil, usagef("--task-type: the adapter of --adapter has its own, want one of the two options")
	}
	files, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	predictor, err := base.Adapter(files)
	if err == nil && predictor.OtherBase {
		warnOtherBase(c, dir)
	}
	return predictor, err
}

// generation makes texts and prints them.
type generation struct {
	c         *cli.Context
	base      *predict.Base
	predictor *predict.Predictor
	config    generate.Config
	chat      *chat.Template // nil: texts are not messages
}

func (g *generation) prompt(text string) (predict.Prompt, error) {
	p := predict.Prompt{Predictor: g.predictor, Text: text, NoSpecialTokens: g.c.Bool("no-special-tokens"), Config: g.config}
	if g.chat == nil {
		return p, nil
	}
	var messages []chat.Message
	if system := g.c.String("system"); system != "" {
		messages = append(messages, chat.Message{Role: "system", Content: system})
	}
	var err error
	p.Text, err = g.chat.Render(append(messages, chat.Message{Role: "user", Content: text}), true)
	p.NoSpecialTokens = true
	return p, err
}

// one answers one text, as the answer is made where it is one.
func (g *generation) one(text string) error {
	p, err := g.prompt(text)
	if err != nil {
		return err
	}
	streams, began := !g.c.Bool("json") && g.config.NumReturnSequences == 1, false
	if streams {
		p.OnText = func(_ int, piece string) {
			fmt.Fprint(g.c.App.Writer, piece)
			began = true
		}
	}
	answers, err := g.base.Generate(g.c.Context, []predict.Prompt{p})
	err = located(ofSetting(g.c, err), "", nil)
	switch {
	case streams:
		if began || err == nil {
			fmt.Fprintln(g.c.App.Writer)
		}
		return err
	case err != nil:
		return err
	}
	return g.print(text, answers[0])
}

// all answers the lines of the input together.
func (g *generation) all() error {
	var texts []string
	var prompts []predict.Prompt
	var lines []int
	err := eachInputLine(g.c, g.c.String("input"), g.c.Bool("jsonl"), func(number int, line []byte) error {
		text, err := generateInput(line, g.c.Bool("jsonl"))
		if err != nil {
			return err
		}
		prompt, err := g.prompt(text)
		texts, prompts, lines = append(texts, text), append(prompts, prompt), append(lines, number)
		return err
	})
	if err != nil {
		return err
	}
	answers, err := g.base.Generate(g.c.Context, prompts)
	for i, list := range answers {
		if err := g.print(texts[i], list); err != nil {
			return err
		}
	}
	return located(ofSetting(g.c, err), g.c.String("input"), lines)
}

func generateInput(line []byte, isJSON bool) (string, error) {
	if !isJSON {
		return string(line), nil
	}
	const want = `{"text": ...}`
	var input struct {
		Text *string `json:"text"`
	}
	if err := parseJSON(line, &input, want); err != nil {
		return "", err
	}
	if input.Text == nil {
		return "", errors.New(`field "text": missing`)
	}
	return *input.Text, nil
}

// print prints the answers to one text, one a line: line breaks in them are written \n.
func (g *generation) print(text string, answers []predict.Generation) error {
	for _, answer := range answers {
		if g.c.Bool("json") {
			line := struct {
				Prompt string `json:"prompt"`
				predict.Generation
			}{text, answer}
			if err := printJSON(g.c.App.Writer, line); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(g.c.App.Writer, strings.ReplaceAll(answer.Text, "\n", `\n`))
	}
	return nil
}

// interact answers texts as they are typed.
func (g *generation) interact() error {
	lines := bufio.NewScanner(interruptible{g.c.Context, g.c.App.Reader})
	lines.Buffer(nil, maxLine)
	for {
		fmt.Fprint(g.c.App.ErrWriter, "> ")
		if !lines.Scan() {
			fmt.Fprintln(g.c.App.ErrWriter)
			return lines.Err()
		}
		if text := lines.Text(); text != "" {
			err := g.one(text)
			if g.c.Context.Err() != nil {
				return err
			}
			if err != nil {
				fmt.Fprintf(g.c.App.ErrWriter, "gopeft: error: %v\n", err)
			}
		}
	}
}
