package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/train"
)

func predictCommand() *cli.Command {
	return &cli.Command{
		Name:      "predict",
		Usage:     "answer with an adapter: labels and probabilities, tags, answers",
		ArgsUsage: "[FILE]",
		Description: `Reads FILE or standard input, a text a line, or with --jsonl an object a line:
{"text": ..., "pair": ...} for SEQ_CLS, {"words": [...]} for TOKEN_CLS, {"question": ..., "context": ...} for QUESTION_ANS,
and what is in the braces of a template for an adapter that has one.`,
		Flags: []cli.Flag{
			baseFlag(),
			dtypeFlag(),
			&cli.StringFlag{Name: "adapter", Usage: "the adapter's directory; none: the base with its own head, as train --full leaves it"},
			&cli.IntFlag{Name: "task-id", Usage: "of an adapter of several tasks: the one of the texts, from 0"},
			&cli.BoolFlag{Name: "jsonl", Usage: "read JSON objects"},
			jsonFlag("print one JSON object a line, with the probability of every label"),
		},
		Action: runPredict,
	}
}

// wantedInput is a line of --jsonl, by task.
var wantedInput = map[models.Task]string{
	models.SeqCls:      `{"text": ..., "pair": ...}`,
	models.TokenCls:    `{"words": [...]}`,
	models.QuestionAns: `{"question": ..., "context": ...}`,
}

// predictInput is a line of input.
type predictInput struct {
	Text     *string  `json:"text"`
	Pair     string   `json:"pair"`
	Words    []string `json:"words"`
	Question *string  `json:"question"`
	Context  *string  `json:"context"`

	fields map[string]string // of a template
}

func runPredict(c *cli.Context) error {
	path, err := optionalFile(c)
	if err != nil {
		return err
	}
	if c.String("adapter") == "" && !c.IsSet("base") {
		return usagef("predict: --adapter is missing; see gopeft predict --help")
	}
	base, predictor, err := openPredictor(c)
	if err != nil {
		return err
	}
	defer base.Close()
	warnUnfinished(c)
	if predictor.TaskID, err = taskID(c, predictor); err != nil {
		return err
	}
	if _, err := tokenizerOf(c, base); err != nil {
		return err
	}
	var inputs []predictInput
	var lines []int
	err = eachInputLine(c, path, c.Bool("jsonl"), func(number int, line []byte) error {
		parse := parsePredictInput
		if fields := predictor.Fields(); fields != nil {
			parse = fieldsParser(fields)
		}
		input, err := parse(line, c.Bool("jsonl"), predictor.Task)
		inputs, lines = append(inputs, input), append(lines, number)
		return err
	})
	if err != nil {
		return err
	}
	p := predictions{c, predictor, newTable(c.App.Writer)}
	switch predictor.Task {
	case models.SeqCls:
		err = p.classify(inputs)
	case models.TokenCls:
		err = p.tag(inputs)
	case models.QuestionAns:
		err = p.answer(inputs)
	default:
		return fmt.Errorf("the head is for %s, which has no answers to print; see gopeft forward", predictor.Task)
	}
	return errors.Join(located(err, path, lines), p.table.flush())
}

// taskID returns --task-id, which must be a task of the adapter.
func taskID(c *cli.Context, p *predict.Predictor) (int, error) {
	id, config := c.Int("task-id"), p.PeftConfig
	switch {
	case !c.IsSet("task-id"):
		return 0, nil
	case config.PeftType == "":
		return 0, usagef("--task-id: a base alone has no tasks, want it with --adapter")
	case config.PeftType != hfio.MultitaskPromptTuning:
		return 0, usagef("--task-id: not an option of %s, want it with an adapter of %s only", config.PeftType, hfio.MultitaskPromptTuning)
	case id < 0 || id >= config.NumTasks:
		return 0, usagef("--task-id: found %d, want 0 to %d", id, config.NumTasks-1)
	}
	return id, nil
}

// parsePredictInput reads a line and checks that it holds what the task needs.
func parsePredictInput(line []byte, isJSON bool, task models.Task) (predictInput, error) {
	if !isJSON {
		if task == models.QuestionAns {
			return predictInput{}, errors.New("want --jsonl with " + wantedInput[task] + " a line")
		}
		text := string(line)
		return predictInput{Text: &text, Words: strings.Fields(text)}, nil
	}
	var input predictInput
	if err := parseJSON(line, &input, wantedInput[task]); err != nil {
		return input, err
	}
	switch {
	case task == models.SeqCls && input.Text == nil:
		return input, errors.New(`field "text": missing`)
	case task == models.TokenCls && input.Words == nil:
		return input, errors.New(`field "words": missing`)
	case task == models.QuestionAns && (input.Question == nil || input.Context == nil):
		return input, errors.New(`fields "question" and "context": want both`)
	}
	return input, nil
}

// fieldsParser reads a line that has what a template shows; a line of text is the one field of
// a template with no other.
func fieldsParser(fields []string) func([]byte, bool, models.Task) (predictInput, error) {
	object := `{"` + strings.Join(fields, `": ..., "`) + `": ...}`
	return func(line []byte, isJSON bool, _ models.Task) (predictInput, error) {
		values := map[string]any{}
		switch {
		case !isJSON && len(fields) > 1:
			return predictInput{}, errors.New("want --jsonl with " + object + " a line")
		case !isJSON:
			values[fields[0]] = string(line)
		default:
			if err := parseJSON(line, &values, object); err != nil {
				return predictInput{}, err
			}
		}
		input := predictInput{Text: new(string), fields: map[string]string{}}
		for _, name := range fields {
			value, ok := values[name].(string)
			if !ok {
				return predictInput{}, fmt.Errorf("field %q: missing, or no text", name)
			}
			switch name {
			case train.RoleText:
				*input.Text = value
			case train.RolePair:
				input.Pair = value
			default:
				input.fields[name] = value
			}
		}
		return input, nil
	}
}

// predictions prints answers, as a table or as JSON.
type predictions struct {
	c         *cli.Context
	predictor *predict.Predictor
	table     *table
}

// print prints one answer.
func (p *predictions) print(answer any, cells ...string) error {
	if p.c.Bool("json") {
		return printJSON(p.c.App.Writer, answer)
	}
	p.table.row(cells...)
	return nil
}

func (p *predictions) classify(inputs []predictInput) error {
	texts := make([]predict.Text, len(inputs))
	for i, input := range inputs {
		texts[i] = predict.Text{Text: *input.Text, Pair: input.Pair, Fields: input.fields}
	}
	answers, err := p.predictor.Classify(p.c.Context, texts)
	if err != nil {
		return err
	}
	cut := 0
	for i, answer := range answers {
		line := struct {
			Text  string             `json:"text"`
			Pair  string             `json:"pair,omitempty"`
			Label string             `json:"label,omitempty"`
			Score float64            `json:"score"`
			All   map[string]float64 `json:"scores"`

			Labels    []string          `json:"labels,omitempty"`
			Truncated bool              `json:"truncated,omitempty"`
			Fields    map[string]string `json:"fields,omitempty"` // of a template
		}{texts[i].Text, texts[i].Pair, answer.Label, answer.Score, p.scores(answer), answer.Labels, answer.Truncated, texts[i].Fields}
		if answer.Truncated {
			cut++
		}
		if err := p.print(line, p.labelCells(answer, shownText(texts[i], p.predictor.Fields()))...); err != nil {
			return err
		}
	}
	if cut > 0 {
		fmt.Fprintf(p.c.App.ErrWriter, "gopeft: %d of %d texts are longer than %d tokens: their ends were cut off\n", cut, len(texts), p.predictor.MaxLength)
	}
	return nil
}

// bestTokens is how many scores are shown where every token of the vocabulary has one.
const bestTokens = 10

// scores returns the scores of all labels, by name.
func (p *predictions) scores(answer predict.Classification) map[string]float64 {
	order := make([]int, len(answer.Scores))
	for l := range order {
		order[l] = l
	}
	if p.predictor.HasVocabulary() {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(answer.Scores[b], answer.Scores[a]) })
		order = order[:min(bestTokens, len(order))]
	}
	scores := map[string]float64{}
	for _, l := range order {
		scores[p.predictor.Labels[l]] = answer.Scores[l]
	}
	return scores
}

// shownText is a text as a table shows it: what a template shows of it, if there is one.
func shownText(text predict.Text, fields []string) string {
	if fields == nil {
		return text.Text
	}
	var values []string
	for _, name := range fields {
		values = append(values, cmp.Or(text.Fields[name], map[string]string{train.RoleText: text.Text, train.RolePair: text.Pair}[name]))
	}
	return strings.Join(values, " | ")
}

// labelCells are the cells of a classified text: no label in a regression, and all
// that are likelier than not where a text may have several.
func (p *predictions) labelCells(answer predict.Classification, text string) []string {
	score := fmt.Sprintf("%.4f", answer.Score)
	switch {
	case answer.Label == "":
		return []string{score, text}
	case p.predictor.ProblemType == models.MultiLabel && len(answer.Labels) == 0:
		return []string{"-", score, text}
	case p.predictor.ProblemType == models.MultiLabel:
		return []string{strings.Join(answer.Labels, ","), score, text}
	}
	return []string{answer.Label, score, text}
}

func (p *predictions) tag(inputs []predictInput) error {
	texts := make([][]string, len(inputs))
	for i, input := range inputs {
		texts[i] = input.Words
	}
	answers, err := p.predictor.Tag(p.c.Context, texts)
	if err != nil {
		return err
	}
	untagged := 0
	for i, tags := range answers {
		line := struct {
			Words []string      `json:"words"`
			Tags  []predict.Tag `json:"tags"`
		}{texts[i], tags}
		words := make([]string, len(tags))
		for w, tag := range tags {
			words[w] = texts[i][w] + "/" + cmp.Or(tag.Label, "-")
		}
		if slices.ContainsFunc(tags, func(tag predict.Tag) bool { return tag.Label == "" }) {
			untagged++
		}
		if err := p.print(line, strings.Join(words, " ")); err != nil {
			return err
		}
	}
	if untagged > 0 {
		fmt.Fprintf(p.c.App.ErrWriter, "gopeft: %d of %d texts have words without a tag: words past %d tokens, or without any letter\n",
			untagged, len(texts), p.predictor.MaxLength)
	}
	return nil
}

func (p *predictions) answer(inputs []predictInput) error {
	questions := make([]predict.Question, len(inputs))
	for i, input := range inputs {
		questions[i] = predict.Question{Question: *input.Question, Context: *input.Context}
	}
	answers, err := p.predictor.Answer(p.c.Context, questions)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		line := struct {
			Question string `json:"question"`
			predict.Answer
		}{questions[i].Question, answer}
		if err := p.print(line, answer.Text, fmt.Sprintf("%.3f", answer.Score), questions[i].Question); err != nil {
			return err
		}
	}
	return nil
}
