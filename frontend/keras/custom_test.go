package keras

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
)

// A class or function of the user is refused by its name, whatever built-in one it is
// named after and wherever it stands, in the forms in which the versions of Keras save
// it. The same models without its mark load.
func TestCustomNames(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	// marks make an object the user's. They return the name in the message.
	marks := []func(o dict, name string, set func(string)) string{
		func(o dict, name string, _ func(string)) string { // registered
			o["module"], o["registered_name"] = nil, "ws>"+name
			return "ws>" + name
		},
		func(o dict, name string, _ func(string)) string { // registered, in a module
			o["module"], o["registered_name"] = pick("builtins", "lab.nets", "keras.layers"), pick("ws>", "Custom>")+name
			return o["registered_name"].(string)
		},
		func(o dict, name string, _ func(string)) string { // registered with another name
			o["registered_name"] = "lab>Other"
			return "lab>Other"
		},
		func(o dict, name string, set func(string)) string { // registered, in .h5 files
			delete(o, "module")
			delete(o, "registered_name")
			set("ws>" + name)
			return "ws>" + name
		},
		func(o dict, name string, _ func(string)) string { // not registered
			o["module"], o["registered_name"] = pick("lab.nets", "kerasnet.layers", "__main__", "tensorflow_addons.layers"), name
			return o["module"].(string) + "." + name
		},
		func(o dict, name string, _ func(string)) string { // not registered, of the script that saved it
			o["module"], o["registered_name"] = nil, name
			return name
		},
	}
	object := func(class string, config dict) dict {
		return dict{"module": "keras.layers", "class_name": class, "config": config, "registered_name": nil}
	}
	// places return a model with an object, its name, and how to change that.
	places := map[string]func() (model, o dict, name string, set func(string)){
		"a layer": func() (dict, dict, string, func(string)) {
			l := entryOf(pick("ReLU", "Flatten", "Softmax", "Dropout", "GlobalMaxPooling2D"), "l", nil)
			return sequential([]any{nil, 8, 8, 3}, l), l, l["class_name"].(string), func(n string) { l["class_name"] = n }
		},
		"a layer in a wrapper": func() (dict, dict, string, func(string)) {
			l := entryOf(pick("ReLU", "Flatten", "Softmax", "Dropout"), "inner", nil)
			return sequential([]any{nil, 8, 8, 3}, entryOf("TimeDistributed", "l", dict{"layer": l})), l, l["class_name"].(string), func(n string) { l["class_name"] = n }
		},
		"a function": func() (dict, dict, string, func(string)) {
			name := pick("relu", "tanh", "softmax", "silu")
			o := dict{"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
			return sequential([]any{nil, 8, 8, 3}, entryOf("Activation", "l", dict{"activation": o})), o, name, func(n string) { o["config"] = n }
		},
		"a layer as activation": func() (dict, dict, string, func(string)) {
			o := object(pick("ReLU", "LeakyReLU", "ELU"), dict{"name": "act"})
			l := entryOf("Activation", "l", dict{"activation": o})
			return sequential([]any{nil, 8, 8, 3}, l), o, o["class_name"].(string), func(n string) { o["class_name"] = n }
		},
		"a model in a model": func() (dict, dict, string, func(string)) {
			m := sequential([]any{nil, 8, 8, 3}, entryOf("ReLU", "r", nil))
			m["name"] = "l"
			return sequential([]any{nil, 8, 8, 3}, m), m, "Sequential", func(n string) { m["class_name"] = n }
		},
		"the whole model": func() (dict, dict, string, func(string)) {
			m := functional([]any{nil, 8, 8, 3}, "r", on(entryOf("ReLU", "r", nil), "input"))
			return m, m, "Functional", func(n string) { m["class_name"] = n }
		},
	}
	for place, make := range places {
		for range 40 {
			model, o, name, set := make()
			if _, err := loadBytes(kerastest.Archive(model, nil), source.Options{}); err != nil {
				t.Fatalf("%s %s: %v", place, name, err)
			}
			k := rng.IntN(len(marks))
			if place == "a function" && k == len(marks)-1 {
				k-- // the module of a function is never null
			}
			want := marks[k](o, name, set)
			_, err := loadBytes(kerastest.Archive(model, nil), source.Options{})
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Python code modelc does not run") {
				t.Errorf("%s, %s with mark %d: %v; want %q", place, name, k, fmt.Sprint(err), want)
			}
		}
	}
}
