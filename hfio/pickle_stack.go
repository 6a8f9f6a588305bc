package hfio

import "fmt"

// actions work on the stack.
var actions = map[byte]func(*unpickler) error{
	0x80: (*unpickler).proto,
	0x95: func(u *unpickler) error { _, err := u.uint(8); return err }, // FRAME: a hint only
	'0':  func(u *unpickler) error { _, err := u.pop(); return err },
	'1':  func(u *unpickler) error { _, err := u.popMark(); return err },
	'2':  (*unpickler).dup,
	'q':  func(u *unpickler) error { return u.remember(1) },
	'r':  func(u *unpickler) error { return u.remember(4) },
	0x94: func(u *unpickler) error { return u.store(uint32(len(u.memo))) },
	0x85: func(u *unpickler) error { return u.tuple(1) },
	0x86: func(u *unpickler) error { return u.tuple(2) },
	0x87: func(u *unpickler) error { return u.tuple(3) },
	't': func(u *unpickler) error {
		return u.collect(func(items []any) (any, error) { return pyTuple(items), nil })
	},
	'l': func(u *unpickler) error {
		return u.collect(func(items []any) (any, error) { return &pyList{items}, nil })
	},
	'd': func(u *unpickler) error { return u.collect(newDict) },
	0x91: func(u *unpickler) error {
		return u.collect(func(items []any) (any, error) { return &pyList{items}, nil })
	},
	'a':  (*unpickler).appendOne,
	'e':  (*unpickler).appendAll,
	0x90: (*unpickler).appendAll,
	's':  (*unpickler).setItem,
	'u':  (*unpickler).setItems,
	0x93: (*unpickler).stackGlobal,
	'R':  (*unpickler).reduce,
	0x81: (*unpickler).reduce, // NEWOBJ: a class and its arguments
	'b':  (*unpickler).build,
	'Q':  (*unpickler).binPersID,
}

func (u *unpickler) proto() error {
	version, err := u.uint(1)
	if err == nil && version > 5 {
		err = fmt.Errorf("%w: protocol %d", ErrUnsupported, version)
	}
	return err
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v, err
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) == 0 {
		return nil, fmt.Errorf("%w: the stack is empty", ErrFormat)
	}
	v := u.stack[len(u.stack)-1]
	if _, ok := v.(pyMark); ok {
		return nil, fmt.Errorf("%w: a mark in place of a value", ErrFormat)
	}
	return v, nil
}

// popMark removes everything above the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(pyMark); ok {
			items := append([]any(nil), u.stack[i+1:]...)
			u.stack = u.stack[:i]
			return items, nil
		}
	}
	return nil, fmt.Errorf("%w: no mark", ErrFormat)
}

func (u *unpickler) dup() error {
	v, err := u.top()
	if err != nil {
		return err
	}
	return u.push(v)
}

func (u *unpickler) remember(n int) error {
	key, err := u.uint(n)
	if err != nil {
		return err
	}
	return u.store(uint32(key))
}

func (u *unpickler) store(key uint32) error {
	v, err := u.top()
	if err == nil {
		u.memo[key] = v
	}
	return err
}

func (u *unpickler) tuple(n int) error {
	items := make(pyTuple, n)
	for i := n - 1; i >= 0; i-- {
		v, err := u.pop()
		if err != nil {
			return err
		}
		items[i] = v
	}
	return u.push(items)
}

// collect replaces a mark and what is above it by one value made of that.
func (u *unpickler) collect(make func([]any) (any, error)) error {
	items, err := u.popMark()
	if err != nil {
		return err
	}
	v, err := make(items)
	if err != nil {
		return err
	}
	return u.push(v)
}

func newDict(items []any) (any, error) {
	d := &pyDict{}
	return d, d.add(items)
}

// add takes keys and values in turn.
func (d *pyDict) add(items []any) error {
	if len(items)%2 != 0 {
		return fmt.Errorf("%w: a key without a value", ErrFormat)
	}
	for i := 0; i < len(items); i += 2 {
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return nil
}

func (u *unpickler) appendOne() error {
	v, err := u.pop()
	if err != nil {
		return err
	}
	return u.appendTo([]any{v})
}

func (u *unpickler) appendAll() error {
	items, err := u.popMark()
	if err != nil {
		return err
	}
	return u.appendTo(items)
}

func (u *unpickler) appendTo(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	list, ok := v.(*pyList)
	if !ok {
		return fmt.Errorf("%w: appends to %s", ErrFormat, pyKind(v))
	}
	list.items = append(list.items, items...)
	return nil
}

func (u *unpickler) setItem() error {
	value, err := u.pop()
	if err != nil {
		return err
	}
	key, err := u.pop()
	if err != nil {
		return err
	}
	return u.setIn([]any{key, value})
}

func (u *unpickler) setItems() error {
	items, err := u.popMark()
	if err != nil {
		return err
	}
	return u.setIn(items)
}

func (u *unpickler) setIn(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	dict, ok := v.(*pyDict)
	if !ok {
		return fmt.Errorf("%w: sets keys of %s", ErrFormat, pyKind(v))
	}
	return dict.add(items)
}

func (u *unpickler) stackGlobal() error {
	name, err := u.pop()
	if err != nil {
		return err
	}
	module, err := u.pop()
	if err != nil {
		return err
	}
	m, ok1 := module.(string)
	n, ok2 := name.(string)
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: the name of a class is %s", ErrFormat, pyKind(name))
	}
	return u.push(newGlobal(m, n))
}

// reduce applies a function to its arguments, if call knows it.
func (u *unpickler) reduce() error {
	args, err := u.pop()
	if err != nil {
		return err
	}
	function, err := u.pop()
	if err != nil {
		return err
	}
	f, ok1 := function.(pyGlobal)
	a, ok2 := args.(pyTuple)
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: applies %s to %s", ErrFormat, pyKind(function), pyKind(args))
	}
	v, err := u.call(f, a)
	if err != nil {
		return err
	}
	return u.push(v)
}

// build would set attributes. What a dict or a tensor has of them (the versions of
// a state dict's modules) is not needed, and is dropped.
func (u *unpickler) build() error {
	if _, err := u.pop(); err != nil {
		return err
	}
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v.(type) {
	case *pyDict, *torchTensor:
		return nil
	}
	return fmt.Errorf("%w: sets attributes of %s", ErrUnsupported, pyKind(v))
}

func (u *unpickler) binPersID() error {
	id, err := u.pop()
	if err != nil {
		return err
	}
	v, err := u.persistent(id)
	if err != nil {
		return err
	}
	return u.push(v)
}
