package hfio

import "fmt"

// pyKind names a value's type for an error.
func pyKind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case pyGlobal:
		return string(v)
	case pyTuple:
		return "a tuple"
	case *pyList:
		return "a list"
	case *pyDict:
		return "a dict"
	case *torchTensor:
		return "a tensor"
	case *torchStorage:
		return "a storage"
	case string:
		return "a string"
	case int:
		return "an integer"
	}
	return fmt.Sprintf("a %T", v)
}

// opcodeName prints an opcode with the name that Python's pickletools gives to
// those which are refused most.
func opcodeName(op byte) string {
	names := map[byte]string{
		'c': "GLOBAL", 'R': "REDUCE", 'b': "BUILD", 'i': "INST", 'o': "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX",
		0x93: "STACK_GLOBAL", 'Q': "BINPERSID", 'P': "PERSID", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
		0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER", 'I': "INT", 'F': "FLOAT", 'L': "LONG", 'S': "STRING",
		'V': "UNICODE", 'g': "GET", 'p': "PUT",
	}
	if name, ok := names[op]; ok {
		return fmt.Sprintf("%s (0x%02x)", name, op)
	}
	return fmt.Sprintf("0x%02x", op)
}
