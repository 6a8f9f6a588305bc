package hfio_test

import (
	"fmt"

	"github.com/gopeft/gopeft/hfio"
)

func ExampleOpenAdapter() {
	adapter, err := hfio.OpenAdapter(hfio.Dir("testdata/adapters/prompt_bert_seq_cls"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer adapter.Close()
	fmt.Println(adapter.Config.PeftType, adapter.Config.TaskType, adapter.Config.BaseModelNameOrPath)
	for _, t := range adapter.Tensors {
		fmt.Println(t.Name, t.DType, t.Shape)
	}
	// Output:
	// PROMPT_TUNING SEQ_CLS tiny/bert
	// base_model.classifier.bias F32 [2]
	// base_model.classifier.weight F32 [2 8]
	// prompt_embeddings F32 [3 8]
}

func ExampleOpenModel() {
	base, err := hfio.OpenModel(hfio.Dir("testdata/models/sharded"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer base.Close()
	r := base.Config.Reader()
	fmt.Println(base.Config.ModelType, r.Size("hidden_size"), r.FloatOr("layer_norm_eps", 1e-12), r.Labels(), r.Err())
	words, err := base.Tensor("bert.embeddings.word_embeddings.weight")
	fmt.Println(words.DType, words.Shape, err)
	// Output:
	// bert 8 1e-12 [LABEL_0 LABEL_1] <nil>
	// F32 [11 8] <nil>
}

func ExampleParseAdapterConfig() {
	text := `{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": "20", "task_type": "SENTIMENT"}`
	_, err := hfio.ParseAdapterConfig("my-adapter/adapter_config.json", []byte(text))
	fmt.Println(err)
	// Output:
	// my-adapter/adapter_config.json: field "task_type": found "SENTIMENT", want SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION or null
	// my-adapter/adapter_config.json: field "num_virtual_tokens": found "20", want an integer of at least 1, or null
}
