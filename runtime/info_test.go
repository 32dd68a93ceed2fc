package runtime

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestInfo(t *testing.T) {
	p := echo(128)
	p.Model, p.ModelSHA256, p.Version, p.Examples, p.ArenaBytes = "net", "0123", "v1.2.3", 2, 64
	payload := make([]byte, 128)
	sum := sha256.Sum256(payload)
	head := headerOf(len(payload), sum, p.Graph)
	want := Info{Model: "net", ModelSHA256: "0123", Version: "v1.2.3", Tier: Tier(), Examples: 2,
		WeightsSHA256: hex.EncodeToString(sum[:]), WeightsSource: "bytes", WeightsBytes: 128, SessionBytes: 64,
		Outputs: []Port{{"y", "float32", []int{32}, 128}}}
	m, err := BytesModel(p, append(head[:], payload...))
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(Options{})
	defer s.Close()
	for _, got := range []Info{m.Info(), s.Info()} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	m.Info().Outputs[0].Shape[0] = 1 // a copy
	if m.Info().Outputs[0].Shape[0] != 32 {
		t.Error("a caller changed the plan")
	}
	if m, err = EmbeddedModel(p, string(append(head[:], payload...)), sum); err != nil || m.Info().WeightsSource != "embedded" {
		t.Errorf("embedded weights: %v, %+v", err, m.Info())
	}
	if m, err = NewModel(p, payload); err != nil || m.Info().WeightsSource+m.Info().WeightsSHA256 != "" {
		t.Errorf("a model in memory: %v, %+v", err, m.Info())
	}
	for _, i := range []Info{(*Model)(nil).Info(), (*Session)(nil).Info(), new(Session).Info()} {
		if !reflect.DeepEqual(i, Info{}) {
			t.Errorf("no model: %+v", i)
		}
	}
}

// Make makes slices of the types and lengths of all ports.
func TestMake(t *testing.T) {
	for _, name := range []string{"float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"} {
		if x := (Port{Type: name, Shape: []int{2, 3}}).Make(); fmt.Sprintf("%T", x) != "[]"+name || reflect.ValueOf(x).Len() != 6 {
			t.Errorf("%s: %T", name, x)
		}
	}
	if x := (Port{Type: "f16"}).Make(); x != nil {
		t.Errorf("an unknown type: %T", x)
	}
}

func TestTake(t *testing.T) {
	var x []float32
	for _, list := range [][]any{nil, {nil}, {[]float32{1}}, {[]float32{1}, []float64{2}}, {[]float32{1}, nil}, {[]float32{1}, 2}} {
		if err := Take(&x, list, 1, 2); !errors.Is(err, ErrTensor) || x != nil {
			t.Errorf("%v: %v, %v", list, x, err)
		}
	}
	if err := Take(&x, []any{nil, []float32{3}}, 1, 2); err != nil || len(x) != 1 {
		t.Errorf("%v, %v", x, err)
	}
}

func TestCPU(t *testing.T) {
	if err := checkCPU(binary.LittleEndian); err != nil {
		t.Error(err)
	}
	if err := checkCPU(binary.BigEndian); !errors.Is(err, ErrCPU) {
		t.Error(err)
	}
}
