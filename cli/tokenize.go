package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/predict"
	"github.com/gopeft/gopeft/tokenize"
)

func tokenizeCommand() *cli.Command {
	return &cli.Command{
		Name:      "tokenize",
		Usage:     "turn text into token ids with offsets, or ids back into text",
		ArgsUsage: "[FILE]",
		Description: `Reads a text a line from FILE or standard input and prints, for each,
{"ids": [...], "tokens": [...], "offsets": [[start, end], ...]}, with offsets in characters.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "tokenizer", Usage: "a tokenizer.json, a model directory, its GGUF file, or " + strings.Join(embeddedNames(), " or "), Required: true},
			&cli.BoolFlag{Name: "jsonl", Usage: `read {"text": ..., "pair": ...} a line`},
			&cli.BoolFlag{Name: "no-special-tokens", Usage: "add none, as [CLS] and [SEP]; with --decode, leave them out"},
			&cli.BoolFlag{Name: "decode", Usage: `read {"ids": [...]} or [...] a line and print the text as {"text": ...}`},
		},
		Action: runTokenize,
	}
}

func runTokenize(c *cli.Context) error {
	path, err := optionalFile(c)
	if err != nil {
		return err
	}
	tokenizer, err := openTokenizer(c.String("tokenizer"))
	if err != nil {
		return err
	}
	convert := func(line []byte) (any, error) { return encodeLine(tokenizer, line, c) }
	if c.Bool("decode") {
		convert = func(line []byte) (any, error) {
			return decodeLine(tokenizer, line, c.Bool("no-special-tokens"))
		}
	}
	return eachInputLine(c, path, c.Bool("jsonl") || c.Bool("decode"), func(_ int, line []byte) error {
		result, err := convert(line)
		if err != nil {
			return err
		}
		return printJSON(c.App.Writer, result)
	})
}

// openTokenizer reads a tokenizer.json or the tokenizer of a model: of its directory or GGUF file, or of one in this program.
func openTokenizer(path string) (*tokenize.Tokenizer, error) {
	if files, isEmbedded := embeddedModels[path]; isEmbedded {
		return predict.LoadTokenizer(files())
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() || filepath.Ext(path) == ".gguf" {
		return predict.LoadTokenizer(hfio.Dir(path))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return tokenize.Parse(filepath.Clean(path), data)
}

type tokenizedLine struct {
	IDs     []int    `json:"ids"`
	Tokens  []string `json:"tokens"`
	Offsets [][2]int `json:"offsets"`
}

func encodeLine(tokenizer *tokenize.Tokenizer, line []byte, c *cli.Context) (any, error) {
	opts := &tokenize.Options{NoSpecialTokens: c.Bool("no-special-tokens")}
	text := string(line)
	var pair *string
	if c.Bool("jsonl") {
		var in struct{ Text, Pair *string }
		if err := parseJSON(line, &in, `{"text": ..., "pair": ...}`); err != nil {
			return nil, err
		}
		if in.Text == nil {
			return nil, errors.New(`field "text": missing`)
		}
		text, pair = *in.Text, in.Pair
	}
	var encoding tokenize.Encoding
	var err error
	if pair != nil {
		encoding, err = tokenizer.EncodePair(text, *pair, opts)
	} else {
		encoding, err = tokenizer.Encode(text, opts)
	}
	out := tokenizedLine{IDs: encoding.IDs, Tokens: encoding.Tokens, Offsets: make([][2]int, len(encoding.Offsets))}
	for i, span := range encoding.Offsets {
		out.Offsets[i] = [2]int{span.Start, span.End}
	}
	if len(out.IDs) == 0 {
		out.IDs, out.Tokens = []int{}, []string{}
	}
	return out, err
}

func decodeLine(tokenizer *tokenize.Tokenizer, line []byte, skipSpecial bool) (any, error) {
	var in struct {
		IDs []int `json:"ids"`
	}
	target := any(&in)
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) {
		target = &in.IDs
	}
	if err := parseJSON(line, target, `{"ids": [...]} or [...]`); err != nil {
		return nil, err
	}
	text, err := tokenizer.Decode(in.IDs, skipSpecial)
	return struct {
		Text string `json:"text"`
	}{text}, err
}
