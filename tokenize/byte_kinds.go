package tokenize

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

// byteKind is a class of transformers that reads vocab.json and merges.txt.
// Source: transformers 5.23, models/*/tokenization_*.py.
type byteKind struct {
	roles    Roles
	describe func(b *directoryBuilder)
}

var endOfText = Roles{Bos: "<|endoftext|>", Eos: "<|endoftext|>", Unk: "<|endoftext|>"}

var byteKinds = map[string]byteKind{
	"GPT2Tokenizer":    {endOfText, func(*directoryBuilder) {}},
	"CodeGenTokenizer": {endOfText, describeCodeGen},
	"DebertaTokenizer": {Roles{Bos: "[CLS]", Eos: "[SEP]", Unk: "[UNK]", Sep: "[SEP]", Pad: "[PAD]", Cls: "[CLS]", Mask: "[MASK]"}, describeDeberta},
	"RobertaTokenizer": {fairseqRoles, describeRoberta},
	"Qwen2Tokenizer":   {Roles{Eos: "<|endoftext|>", Unk: "<|endoftext|>", Pad: "<|endoftext|>"}, describeQwen2},
}

func describeCodeGen(b *directoryBuilder) {
	if !b.config.has("add_bos_token") && !b.config.has("add_eos_token") {
		b.description.PostProcessor = `{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false}`
	}
}

func describeDeberta(b *directoryBuilder) {
	cls, sep := b.roles.Cls, b.roles.Sep
	b.single, b.pair = []string{cls, "$A", sep}, []string{cls, "$A", sep, sep, "$B", sep}
}

func describeRoberta(b *directoryBuilder) {
	ids := map[string]int{}
	for id, token := range b.description.Tokens {
		ids[token] = id
	}
	b.description.PostProcessor = fmt.Sprintf(`{"type": "RobertaProcessing", "sep": [%q, %d], "cls": [%q, %d], "trim_offsets": %v, "add_prefix_space": %v}`,
		b.roles.Sep, ids[b.roles.Sep], b.roles.Cls, ids[b.roles.Cls],
		b.config.optionalBool("trim_offsets", true), b.config.optionalBool("add_prefix_space", false))
}

func describeQwen2(b *directoryBuilder) {
	b.description.Normalizer = `{"type": "NFC"}`
	b.description.PreTokenizer = sequenceOf("pretokenizers", fmt.Sprintf(
		`{"type": "Split", "pattern": {"Regex": %q}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": %v, "use_regex": false}`,
		llama3Start+`\p{N}`+llama3End, b.config.optionalBool("add_prefix_space", false)))
}

// loadBytes reads a directory of a kind.
func loadBytes(fsys fs.FS, kind byteKind, config *object, log *problems) (*Tokenizer, error) {
	b := &directoryBuilder{config: config, roles: kind.roles.updated(config)}
	b.description.PreTokenizer = fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": %v}`, config.optionalBool("add_prefix_space", false))
	b.description.Decoder = `{"type": "ByteLevel"}`
	var err error
	if b.description.Tokens, err = readVocabJSON(fsys); err != nil {
		return nil, err
	}
	merges, err := fs.ReadFile(fsys, "merges.txt")
	if err != nil {
		return nil, err
	}
	if b.description.Merges, err = parseMerges(merges); err != nil {
		return nil, fmt.Errorf("merges.txt: %w", err)
	}
	kind.describe(b)
	return b.finish(fsys, "vocab.json, merges.txt", log)
}

// readVocabJSON returns the tokens of vocab.json by id.
func readVocabJSON(fsys fs.FS) ([]string, error) {
	data, err := fs.ReadFile(fsys, "vocab.json")
	if err != nil {
		return nil, err
	}
	if err := checkJSON(data); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	log := &problems{file: "vocab.json"}
	file := &object{log: log, read: map[string]bool{}, fields: map[string]json.RawMessage{"vocab": data}}
	vocab := decodeField[map[string]int](file, "vocab", "an object of tokens and ids")
	names, ok := invert(file, vocab)
	if !ok || log.err() != nil {
		return nil, log.err()
	}
	tokens := make([]string, len(vocab))
	for id, token := range names {
		if id >= len(tokens) {
			log.add("", fmt.Sprintf("id %d of %q", id, token), fmt.Sprintf("ids below %d, the number of tokens", len(tokens)))
			return nil, log.err()
		}
		tokens[id] = token
	}
	return tokens, nil
}

// parseMerges reads a pair of tokens a line. A line that names the version is passed over.
func parseMerges(data []byte) ([][2]string, error) {
	var merges [][2]string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		if strings.HasPrefix(lines.Text(), "#version") {
			continue
		}
		parts := strings.Split(lines.Text(), " ")
		if len(parts) != 2 {
			return nil, fmt.Errorf("line %d: %q, want two tokens", number, lines.Text())
		}
		merges = append(merges, [2]string(parts))
	}
	return merges, lines.Err()
}
