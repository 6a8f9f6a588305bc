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
func loadVocabulary(fsys fs.FS) (*Tokenizer, error) {
	data, err := fs.ReadFile(fsys, "vocab.txt")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no tokenizer.json and no vocab.txt: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
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
	listed, names, err := listedTokens(fsys, config, names, log)
	if err := errors.Join(err, log.err()); err != nil {
		return nil, err
	}
	t := &Tokenizer{
		normalizer:   newBertNormalizer(true, true, true, true).configured(config),
		preTokenizer: bertPreTokenizer{},
		model:        newWordPiece(vocab, tokens, names.unk, "##", 100),
		decoder:      newWordPieceDecoder("##", true),
	}
	log.file = "tokenizer_config.json"
	if names.cls == "" || names.sep == "" {
		log.add("cls_token, sep_token", "null", "two tokens: BERT's template needs them")
	}
	t.added = newAddedTokens(listed, t.model, t.normalizer)
	t.special = t.specialIDs(names)
	t.template = bertTemplate(t.named(names.cls), t.named(names.sep))
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
// adds them: those with a number, the roles, the extra ones.
func listedTokens(fsys fs.FS, config *object, names roles, log *problems) ([]addedToken, roles, error) {
	var list []addedToken
	known := map[string]bool{"": true}
	add := func(token addedToken) {
		if !known[token.content] {
			known[token.content] = true
			list = append(list, token)
		}
	}
	extras := extraTokens(config)
	var numbered []addedToken
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
		if slices.Contains(names.inOrder(), token.content) || slices.Contains(extras, token.content) {
			token.special = true
		}
		add(token)
	}
	for _, name := range slices.Concat(names.inOrder(), extras) {
		add(addedToken{content: name, special: true})
	}
	return list, names, nil
}

// readNumbered reads added_tokens_decoder: {"0": {"content": "[PAD]", …}, …}.
func readNumbered(config *object) []addedToken {
	items := config.objects("added_tokens_decoder")
	var tokens []addedToken
	for key, item := range items {
		number, err := strconv.Atoi(key)
		if err != nil {
			config.wrong("added_tokens_decoder", quoted(key), "ids as names")
			continue
		}
		token := readAddedToken(item)
		token.id = number
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return a.id - b.id })
	return tokens
}

// readLegacyAdded reads added_tokens.json: {"<new>": 30522, …}.
func readLegacyAdded(fsys fs.FS, log *problems) ([]addedToken, error) {
	file, err := optionalFile(fsys, "added_tokens.json", log)
	if err != nil {
		return nil, err
	}
	var tokens []addedToken
	for _, content := range slices.Sorted(maps.Keys(file.fields)) {
		tokens = append(tokens, addedToken{id: file.int(content), content: content, normalized: true})
	}
	slices.SortStableFunc(tokens, func(a, b addedToken) int { return a.id - b.id })
	return tokens, nil
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
