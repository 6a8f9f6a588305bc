package tokenize

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Roles are the names of the special tokens, "" where there is none.
type Roles struct{ Bos, Eos, Unk, Sep, Pad, Cls, Mask string }

// SpecialIDs are the ids of the tokens with a role, -1 where there is none.
type SpecialIDs struct{ Bos, Eos, Pad, Unk, Cls, Sep, Mask int }

// readRoles reads the names from a tokenizer_config.json or special_tokens_map.json.
func readRoles(config *object) Roles {
	return bertRoles.updated(config)
}

var bertRoles = Roles{Unk: "[UNK]", Sep: "[SEP]", Pad: "[PAD]", Cls: "[CLS]", Mask: "[MASK]"}

// updated returns the roles with those that the object names; null takes a role away.
func (r Roles) updated(config *object) Roles {
	for i, role := range []*string{&r.Bos, &r.Eos, &r.Unk, &r.Sep, &r.Pad, &r.Cls, &r.Mask} {
		if name := roleFields[i]; config.has(name) {
			*role = config.tokenName(name)
		}
	}
	return r
}

// roleFields are in the order in which transformers gives the roles ids.
var roleFields = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// roleTokens returns the roles that the config gives as whole tokens.
func roleTokens(config *object) []AddedToken {
	var tokens []AddedToken
	for _, field := range roleFields {
		if config.has(field) && strings.HasPrefix(string(config.fields[field]), "{") {
			item := newObject(config.at(field), config.fields[field], config.log)
			tokens = append(tokens, AddedToken{
				Content: item.optionalString("content", ""), SingleWord: item.optionalBool("single_word", false),
				LStrip: item.optionalBool("lstrip", false), RStrip: item.optionalBool("rstrip", false),
				Normalized: item.optionalBool("normalized", false), Special: true,
			})
		}
	}
	return tokens
}

// inOrder returns the roles in the order of roleFields.
func (r Roles) inOrder() []string {
	return []string{r.Bos, r.Eos, r.Unk, r.Sep, r.Pad, r.Cls, r.Mask}
}

// tokenName reads "[CLS]", {"content": "[CLS]", …} or null.
func (o *object) tokenName(field string) string {
	raw := o.raw(field)
	if isNull(raw) {
		return ""
	}
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return name
	}
	var token struct{ Content *string }
	if json.Unmarshal(raw, &token) != nil || token.Content == nil {
		o.wrong(field, shown(raw), "a token")
		return ""
	}
	return *token.Content
}

// tokenNames reads a list of what tokenName reads.
func (o *object) tokenNames(field string) []string {
	var names []string
	for i, raw := range decodeField[[]json.RawMessage](o, field, "a list of tokens") {
		item := &object{
			path:   o.at(field),
			fields: map[string]json.RawMessage{strconv.Itoa(i): raw},
			read:   map[string]bool{},
			log:    o.log,
		}
		names = append(names, item.tokenName(strconv.Itoa(i)))
	}
	return names
}

// specialIDs looks the roles up; a role whose token is unknown has no id.
func (t *Tokenizer) specialIDs(r Roles) SpecialIDs {
	find := func(names ...string) int {
		for _, name := range names {
			if id, ok := t.ID(name); ok && name != "" {
				return id
			}
		}
		return -1
	}
	return SpecialIDs{
		Bos:  find(r.Bos),
		Eos:  find(r.Eos),
		Pad:  find(r.Pad, "<pad>"),
		Unk:  find(r.Unk, "<unk>"),
		Cls:  find(r.Cls, "<s>"),
		Sep:  find(r.Sep, "</s>"),
		Mask: find(r.Mask, "<mask>"),
	}
}
