package tokenize

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// loadVocabulary builds BERT's tokenizer around a vocab.txt, one token a line,
// as BertTokenizer of transformers does.
func loadVocabulary(fsys fs.FS, data []byte) (*Tokenizer, error) {
	vocab, tokens, err := readVocabulary(string(data))
	if err != nil {
		return nil, fmt.Errorf("vocab.txt: %w", err)
	}
	log := &problems{}
	config, err := optionalFile(fsys, "tokenizer_config.json", log)
	if err != nil {
		return nil, err
	}
	names := readRoles(config)
	listed, names, err := listedTokens(fsys, config, names, nil, log)
	if err := errors.Join(err, log.err()); err != nil {
		return nil, err
	}
	t := &Tokenizer{
		normalizer:   newBertNormalizer(true, true, true, true).configured(config),
		preTokenizer: bertPreTokenizer{},
		model:        newWordPiece(vocab, tokens, names.Unk, "##", 100),
		decoder:      newWordPieceDecoder("##", true),
	}
	log.file = "tokenizer_config.json"
	if names.Cls == "" || names.Sep == "" {
		log.add("cls_token, sep_token", "null", "two tokens: BERT's template needs them")
	}
	t.added = newAddedTokens(listed, t.model, t.normalizer, log)
	t.readCleanUp(config)
	t.special = t.specialIDs(names)
	t.template = bertTemplate(t.named(names.Cls), t.named(names.Sep))
	return t, log.err()
}

func (t *Tokenizer) named(token string) part {
	id, _ := t.ID(token)
	return part{sequence: -1, ids: []int{id}, tokens: []string{token}}
}

// readVocabulary numbers the lines, without the white space at their ends. A
// token that comes twice has its last number.
func readVocabulary(data string) (map[string]int, map[int]string, error) {
	if !utf8.ValidString(data) {
		return nil, nil, errors.New("not valid UTF-8")
	}
	vocab := map[string]int{}
	number := 0
	for line := range strings.Lines(data) {
		vocab[strings.TrimRightFunc(line, isWhite)] = number
		number++
	}
	tokens := make(map[int]string, len(vocab))
	for token, id := range vocab {
		tokens[id] = token
	}
	return vocab, tokens, nil
}

// listedTokens returns the added tokens in the order in which transformers
// adds them: those with a number, the roles, the extra ones, those that the class gives.
func listedTokens(fsys fs.FS, config *object, names Roles, given []AddedToken, log *problems) ([]AddedToken, Roles, error) {
	var list []AddedToken
	known := map[string]bool{"": true}
	add := func(token AddedToken) {
		if !known[token.Content] {
			known[token.Content] = true
			list = append(list, token)
		}
	}
	extras := extraTokens(config)
	var numbered []AddedToken
	if config.has("added_tokens_decoder") {
		numbered = readNumbered(config)
	} else {
		special, err := optionalFile(fsys, "special_tokens_map.json", log)
		if err != nil {
			return nil, names, err
		}
		names = names.updated(special)
		extras = append(extras, extraTokens(special)...)
		if numbered, err = readLegacyAdded(fsys, log); err != nil {
			return nil, names, err
		}
	}
	for _, token := range numbered {
		if slices.Contains(names.inOrder(), token.Content) || slices.Contains(extras, token.Content) {
			token.Special = true
		}
		add(token)
	}
	given = append(roleTokens(config), given...)
	for _, name := range slices.Concat(names.inOrder(), extras) {
		token := AddedToken{Content: name}
		if at := slices.IndexFunc(given, func(g AddedToken) bool { return g.Content == name }); at >= 0 {
			token = given[at]
		}
		token.Special = true
		add(token)
	}
	for _, token := range given {
		add(token)
	}
	return list, names, nil
}

// readNumbered reads added_tokens_decoder: {"0": {"content": "[PAD]", …}, …}.
func readNumbered(config *object) []AddedToken {
	var numbered []numberedToken
	for key, item := range config.objects("added_tokens_decoder") {
		number, err := strconv.Atoi(key)
		if err != nil {
			config.wrong("added_tokens_decoder", quoted(key), "ids as names")
			continue
		}
		numbered = append(numbered, numberedToken{number, readAddedToken(item)})
	}
	return inOrder(numbered)
}

type numberedToken struct {
	number int
	token  AddedToken
}

func inOrder(numbered []numberedToken) []AddedToken {
	slices.SortStableFunc(numbered, func(a, b numberedToken) int { return a.number - b.number })
	tokens := make([]AddedToken, len(numbered))
	for i, n := range numbered {
		tokens[i] = n.token
	}
	return tokens
}

// readLegacyAdded reads added_tokens.json: {"<new>": 30522, …}.
func readLegacyAdded(fsys fs.FS, log *problems) ([]AddedToken, error) {
	file, err := optionalFile(fsys, "added_tokens.json", log)
	if err != nil {
		return nil, err
	}
	var numbered []numberedToken
	for _, content := range slices.Sorted(maps.Keys(file.fields)) {
		numbered = append(numbered, numberedToken{file.int(content), AddedToken{Content: content, Normalized: true}})
	}
	return inOrder(numbered), nil
}

// extraTokens reads the further special tokens, under their name of today or the older one.
func extraTokens(o *object) []string {
	for _, field := range []string{"extra_special_tokens", "additional_special_tokens"} {
		if o.has(field) && !isNull(o.fields[field]) {
			return o.tokenNames(field)
		}
	}
	return nil
}
