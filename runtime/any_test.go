package runtime_test

import (
	"errors"
	"testing"

	classifier "modelc/backend/golang/testdata/classifier"
	hostile "modelc/backend/golang/testdata/hostile"
	"modelc/runtime"
)

// zeros runs a network on inputs of zeros. It works with any generated package.
func zeros(m runtime.AnyModel) (outputs []any, err error) {
	s, err := m.NewAnySession(runtime.Threads(1))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var inputs []any
	for _, x := range s.Info().Inputs {
		inputs = append(inputs, x.Make())
	}
	for _, y := range s.Info().Outputs {
		outputs = append(outputs, y.Make())
	}
	return outputs, s.RunAny(inputs, outputs)
}

// One function works with two packages that have different numbers and types of tensors.
func TestAnyModel(t *testing.T) {
	a, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	b, err := hostile.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]runtime.AnyModel{"classifier": a, "hostile": b} {
		got, err := zeros(m)
		if err != nil || len(got) != len(m.Info().Outputs) {
			t.Errorf("%s: %d outputs, %v", name, len(got), err)
		}
		m.Close()
		if _, err := zeros(m); !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("%s: a closed model: %v", name, err)
		}
	}
	want := classifier.NewOutput()
	c, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NewSession().Run(classifier.NewInput(), want); err != nil {
		t.Fatal(err)
	}
	got, err := zeros(c)
	if err != nil || got[0].([]float32)[0] != want.Data[0] {
		t.Errorf("zeros: %v, %v, want %v", got, err, want.Data)
	}
}
