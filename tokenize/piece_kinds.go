package tokenize

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
)

// Model directories with a sentencepiece model are read as the class of transformers reads
// them that they are for: the file does not say what is around the model.
// Source: transformers 5.23, models/*/tokenization_*.py and convert_slow_tokenizer.py, convert_from_spm.

// pieceKind is such a class.
type pieceKind struct {
	file     string
	roles    Roles // where tokenizer_config.json names none
	describe func(b *pieceBuilder)
}

// pieceBuilder holds what a class makes of a model.
type pieceBuilder struct {
	directoryBuilder
	pieces *pieceModel
}

var pieceKinds = map[string]pieceKind{
	"T5Tokenizer":         {"spiece.model", Roles{Eos: "</s>", Unk: "<unk>", Pad: "<pad>"}, describeT5},
	"AlbertTokenizer":     {"spiece.model", Roles{Bos: "[CLS]", Eos: "[SEP]", Unk: "<unk>", Sep: "[SEP]", Pad: "<pad>", Cls: "[CLS]", Mask: "[MASK]"}, describeAlbert},
	"XLMRobertaTokenizer": {"sentencepiece.bpe.model", fairseqRoles, describeXLMRoberta},
	"CamembertTokenizer":  {"sentencepiece.bpe.model", fairseqRoles, describeCamembert},
	"MBartTokenizer":      {"sentencepiece.bpe.model", fairseqRoles, describeMBart},
	"PegasusTokenizer":    {"spiece.model", Roles{Eos: "</s>", Unk: "<unk>", Pad: "<pad>", Mask: "<mask_2>"}, describePegasus},
	"DebertaV2Tokenizer":  {"spm.model", Roles{Bos: "[CLS]", Eos: "[SEP]", Unk: "[UNK]", Sep: "[SEP]", Pad: "[PAD]", Cls: "[CLS]", Mask: "[MASK]"}, describeDebertaV2},
	"LlamaTokenizer":      {"tokenizer.model", Roles{Bos: "<s>", Eos: "</s>", Unk: "<unk>"}, describeLlama},
	"GemmaTokenizer":      {"tokenizer.model", Roles{Bos: "<bos>", Eos: "<eos>", Unk: "<unk>", Pad: "<pad>", Mask: "<mask>"}, describeGemma},
}

var fairseqRoles = Roles{Bos: "<s>", Eos: "</s>", Unk: "<unk>", Sep: "</s>", Pad: "<pad>", Cls: "<s>", Mask: "<mask>"}

// Stages that several classes share.
const (
	whitespaceSplit = `{"type": "WhitespaceSplit"}`
	manySpaces      = `{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}`
	piecesAsText    = `{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}`
)

func sequenceOf(list, stages string) string {
	return fmt.Sprintf(`{"type": "Sequence", %q: [%s]}`, list, stages)
}

// unigram sets the model and what writes spaces as characters.
func (b *pieceBuilder) unigram(tokens []string, scores []float64, unknown string) {
	d := &b.description
	d.Tokens, d.Scores, d.Unknown = tokens, scores, unknown
	d.Decoder = b.metaspace("never")
	d.PreTokenizer = sequenceOf("pretokenizers", whitespaceSplit+", "+d.Decoder)
}

// metaspace puts a space before each word, or does what otherwise says where add_prefix_space is off.
func (b *pieceBuilder) metaspace(otherwise string) string {
	scheme := "always"
	if !b.config.optionalBool("add_prefix_space", true) {
		scheme = otherwise
	}
	return fmt.Sprintf(`{"type": "Metaspace", "replacement": "▁", "prepend_scheme": %q}`, scheme)
}

// charsmap is the model's normaliser, or "".
func (b *pieceBuilder) charsmap() string {
	if b.pieces.charsmap == nil {
		return ""
	}
	return fmt.Sprintf(`{"type": "Precompiled", "precompiled_charsmap": %q}`, base64.StdEncoding.EncodeToString(b.pieces.charsmap))
}

// with returns the model's pieces from one on, with others before and behind, of score 0.
func (b *pieceBuilder) with(before []string, from int, behind ...string) ([]string, []float64) {
	from = min(from, len(b.pieces.tokens))
	tokens := slices.Concat(before, b.pieces.tokens[from:], behind)
	scores := slices.Concat(make([]float64, len(before)), b.pieces.scores[from:], make([]float64, len(behind)))
	return tokens, scores
}

// count reads how many tokens the class adds.
func (b *pieceBuilder) count(field string, otherwise int) int {
	const most = 1 << 16
	n := b.config.optionalInt(field, otherwise)
	if n > most {
		b.config.wrong(field, strconv.Itoa(n), fmt.Sprintf("at most %d", most))
		return 0
	}
	return n
}

// nth is a token that must be there.
func (b *pieceBuilder) nth(tokens []string, id int) string {
	if id >= len(tokens) {
		b.config.log.add("vocabulary", fmt.Sprintf("%d tokens", len(tokens)), fmt.Sprintf("more than %d", id))
		return ""
	}
	return tokens[id]
}

func describeT5(b *pieceBuilder) {
	var extra []string
	for i := b.count("extra_ids", 100) - 1; i >= 0; i-- {
		extra = append(extra, fmt.Sprintf("<extra_id_%d>", i))
	}
	tokens, scores := b.with(nil, 0, extra...)
	b.unigram(tokens, scores, b.nth(tokens, 2))
	b.description.Normalizer = b.charsmap()
	for _, token := range extra {
		b.added = append(b.added, AddedToken{Content: token, Special: true})
	}
	b.single, b.pair = []string{"$A", b.roles.Eos}, []string{"$A", b.roles.Eos, "$B", b.roles.Eos}
}

func describeXLMRoberta(b *pieceBuilder) {
	r := b.roles
	tokens, scores := b.with([]string{r.Bos, r.Pad, r.Eos, r.Unk}, 3, r.Mask)
	b.fairseq(tokens, scores)
}

// fairseq has the template of XLM-R and CamemBERT.
func (b *pieceBuilder) fairseq(tokens []string, scores []float64) {
	b.unigram(tokens, scores, b.roles.Unk)
	b.description.Normalizer = b.charsmap()
	bos, eos := b.roles.Bos, b.roles.Eos
	b.single, b.pair = []string{bos, "$A", eos}, []string{bos, "$A", eos, eos, "$B", eos}
}

func describeCamembert(b *pieceBuilder) {
	r := b.roles
	unused := []string{"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"}
	tokens, scores := b.with([]string{unused[0], r.Pad, unused[1], r.Unk, unused[2]}, 1, r.Mask)
	scores[4] = -100
	b.fairseq(tokens, scores)
	b.added = append(b.added, AddedToken{Content: r.Mask, LStrip: true, Special: true})
}

// mbartLanguages stand behind the model's pieces.
var mbartLanguages = []string{
	"ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ",
	"ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN",
}

func describeMBart(b *pieceBuilder) {
	r := b.roles
	tokens, scores := b.with([]string{r.Bos, r.Pad, r.Eos, r.Unk}, 3, append(slices.Clone(mbartLanguages), r.Mask)...)
	b.unigram(tokens, scores, r.Unk)
	b.added = append(b.added, AddedToken{Content: r.Mask, LStrip: true, Special: true})
	for _, code := range mbartLanguages {
		b.added = append(b.added, AddedToken{Content: code, Special: true})
	}
	source := b.config.optionalString("src_lang", "en_XX")
	b.single, b.pair = []string{"$A", r.Eos, source}, []string{"$A", "$B", r.Eos, source}
}

func describePegasus(b *pieceBuilder) {
	r, offset := b.roles, b.count("offset", 103)
	mask, sentence := b.config.optionalString("mask_token", "<mask_1>"), b.config.optionalString("mask_token_sent", "<mask_2>")
	b.added = append(b.added, AddedToken{Content: b.config.optionalString("mask_token_sent", "<mask_1>"), Special: true})
	before := []string{r.Pad, r.Eos, mask}
	if sentence != mask {
		before = append(before, sentence)
	}
	for i := 2; i < offset; i++ {
		name := "<unk_" + strconv.Itoa(i) + ">"
		before = append(before, name)
		b.added = append(b.added, AddedToken{Content: name, Special: true})
	}
	tokens, scores := b.with(before, 2)
	for i := len(before) - max(offset-2, 0); i < len(before); i++ {
		scores[i] = -100
	}
	b.unigram(tokens, scores, r.Unk)
	b.description.PreTokenizer = b.description.Decoder
	if first := b.charsmap(); first != "" {
		b.description.Normalizer = sequenceOf("normalizers", first+", "+manySpaces)
	} else {
		b.description.Normalizer = sequenceOf("normalizers", `{"type": "Replace", "pattern": {"String": "\n"}, "content": " "}, `+manySpaces)
	}
	b.single, b.pair = []string{"$A", r.Eos}, []string{"$A", "$B", r.Eos}
}

func describeAlbert(b *pieceBuilder) {
	tokens, scores := b.with(nil, 0)
	b.unigram(tokens, scores, b.nth(tokens, 1))
	stages := "{\"type\": \"Replace\", \"pattern\": {\"String\": \"``\"}, \"content\": \"\\\"\"}, " +
		`{"type": "Replace", "pattern": {"String": "''"}, "content": "\""}`
	if !b.config.optionalBool("keep_accents", false) {
		stages += `, {"type": "NFKD"}, {"type": "StripAccents"}`
	}
	if b.config.optionalBool("do_lower_case", true) {
		stages += `, {"type": "Lowercase"}`
	}
	if last := b.charsmap(); last != "" {
		stages += ", " + last
	}
	b.description.Normalizer = sequenceOf("normalizers", stages)
	b.bertTemplate()
}

// bertTemplate is BERT's, unless add_bos_token or add_eos_token say another one.
func (b *pieceBuilder) bertTemplate() {
	if !b.config.has("add_bos_token") && !b.config.has("add_eos_token") {
		cls, sep := b.roles.Cls, b.roles.Sep
		b.single, b.pair = []string{cls, "$A", sep}, []string{cls, "$A", sep, "$B:1", sep + ":1"}
	}
}

func describeDebertaV2(b *pieceBuilder) {
	tokens, scores := b.with(nil, 0)
	unknown := b.roles.Unk
	if at := slices.Index(tokens, unknown); at < 0 || scores[at] != 0 {
		unknown = b.pieces.unknown
	}
	b.unigram(tokens, scores, unknown)
	stages := `{"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "}, {"type": "NFC"}, ` +
		`{"type": "Strip", "strip_left": false, "strip_right": true}`
	if b.config.optionalBool("do_lower_case", false) {
		stages = `{"type": "Lowercase"}, ` + stages
	}
	b.description.Normalizer = sequenceOf("normalizers", stages)
	b.description.Decoder = b.metaspace("first")
	cuts := b.description.Decoder
	if b.config.optionalBool("split_by_punct", false) {
		cuts = `{"type": "Punctuation"}, ` + cuts
	}
	b.description.PreTokenizer = sequenceOf("pretokenizers", cuts)
	cls, sep := b.roles.Cls, b.roles.Sep
	b.single, b.pair = []string{cls, "$A", sep}, []string{cls, "$A", sep, "$B:1", sep + ":1"}
}

func describeLlama(b *pieceBuilder) {
	b.pieceBPE("")
	space := b.config.optionalBool("add_prefix_space", true)
	scheme, last := "never", ""
	switch legacy := b.config.optionalBool("legacy", false); {
	case space && legacy:
		scheme = "always"
	case space:
		scheme = "first"
	}
	if space {
		last = `, {"type": "Strip", "content": " ", "start": 1, "stop": 0}`
	}
	b.description.PreTokenizer = fmt.Sprintf(`{"type": "Metaspace", "replacement": "▁", "prepend_scheme": %q, "split": false}`, scheme)
	b.description.Decoder = sequenceOf("decoders", piecesAsText+last)
}

func describeGemma(b *pieceBuilder) {
	b.pieceBPE(b.roles.Unk)
	b.description.Normalizer = `{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}`
	b.description.PreTokenizer = `{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}`
	b.description.Decoder = sequenceOf("decoders", piecesAsText)
}

func (b *pieceBuilder) pieceBPE(unknown string) {
	d := &b.description
	d.Tokens, d.Merges, d.Unknown = b.pieces.tokens, MergesOf(b.pieces.tokens, nil), unknown
	d.FuseUnknown, d.ByteFallback = true, true
}

// loadPieces reads a directory of a kind.
func loadPieces(fsys fs.FS, kind pieceKind, config *object, log *problems) (*Tokenizer, error) {
	data, err := fs.ReadFile(fsys, kind.file)
	if err != nil {
		return nil, err
	}
	pieces, err := parsePieces(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.file, err)
	}
	b := &pieceBuilder{directoryBuilder{config: config, roles: kind.roles.updated(config)}, pieces}
	kind.describe(b)
	if wanted := map[bool]uint64{true: pieceBPE, false: pieceUnigram}[b.description.Scores == nil]; pieces.modelType != wanted {
		log.add("tokenizer_class", fmt.Sprintf("a class for models of type %d", wanted), fmt.Sprintf("one for type %d, as in %s", pieces.modelType, kind.file))
	}
	for id, token := range pieces.tokens {
		if k := pieces.kinds[id]; k == pieceControl || k == pieceUserDefined {
			b.added = append(b.added, AddedToken{Content: token, Special: k == pieceControl})
		}
	}
	return b.finish(fsys, kind.file, log)
}
