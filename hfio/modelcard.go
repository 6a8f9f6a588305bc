package hfio

// ModelCard returns the README.md of an adapter without one of its own.
func ModelCard(c AdapterConfig) []byte {
	return []byte("---\nbase_model: " + c.BaseModelNameOrPath + "\nlibrary_name: peft\n---\n")
}
