package tokenize

import (
	"encoding/json"
	"strconv"
)

// roles are the names of the special tokens, "" where there is none.
type roles struct{ bos, eos, unk, sep, pad, cls, mask string }

// SpecialIDs are the ids of the tokens with a role, -1 where there is none.
type SpecialIDs struct{ Pad, Unk, Cls, Sep, Mask int }

// readRoles reads the names from a tokenizer_config.json or special_tokens_map.json.
func readRoles(config *object) roles {
	return bertRoles.updated(config)
}

var bertRoles = roles{unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]"}

// updated returns the roles with those that the object names; null takes a role away.
func (r roles) updated(config *object) roles {
	for _, field := range []struct {
		name string
		role *string
	}{
		{"bos_token", &r.bos},
		{"eos_token", &r.eos},
		{"unk_token", &r.unk},
		{"sep_token", &r.sep},
		{"pad_token", &r.pad},
		{"cls_token", &r.cls},
		{"mask_token", &r.mask},
	} {
		if config.has(field.name) {
			*field.role = config.tokenName(field.name)
		}
	}
	return r
}

// inOrder returns the roles in the order in which transformers gives them ids.
func (r roles) inOrder() []string {
	return []string{r.bos, r.eos, r.unk, r.sep, r.pad, r.cls, r.mask}
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
func (t *Tokenizer) specialIDs(r roles) SpecialIDs {
	find := func(names ...string) int {
		for _, name := range names {
			if id, ok := t.ID(name); ok && name != "" {
				return id
			}
		}
		return -1
	}
	return SpecialIDs{
		Pad:  find(r.pad, "<pad>"),
		Unk:  find(r.unk, "<unk>"),
		Cls:  find(r.cls, "<s>"),
		Sep:  find(r.sep, "</s>"),
		Mask: find(r.mask, "<mask>"),
	}
}
